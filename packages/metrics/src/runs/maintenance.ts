import { LOCKS } from '@aduana/db/advisory-locks'
import { type Database, inTransaction } from '@aduana/db/database'
import { failPoint } from '@aduana/runtime/fail-points'
import type { Logger } from '@aduana/runtime/logger'
import { startPollLoop } from '@aduana/runtime/poll-loop'
import { sql } from 'kysely'
import { failRunsOfFailedImports } from '../results/failed-imports.ts'
import { findDeadRunners } from '../runner/liveness.ts'
import { expirePendingRuns } from './expire.ts'
import { timeOutRuns } from './heartbeat-timeouts.ts'

/** The periodic checks of runs. */
export interface Maintenance {
  stop(): Promise<void>
}

const INTERVAL_MS = 2000

/**
 * Starts the checks of runs, every two seconds: runs without heartbeats time out and are requested again, pending
 * runs without their datasets expire, and runs whose results could not be imported fail. Any number of processes may
 * run it; an advisory lock lets one at a time check, by the clock of the database.
 */
export function startMaintenance({ db, logger }: { db: Database; logger: Logger }): Maintenance {
  const pollLoop = startPollLoop({
    intervalMs: INTERVAL_MS,
    poll: async () => {
      await checkTimeouts(db, logger)
      await checkExpired(db, logger)
      await checkFailedImports(db, logger)
    },
    onError: (error) => logger.warn({ event: 'metric_maintenance.poll_failed', err: error }),
  })
  return { stop: () => pollLoop.stop() }
}

/**
 * Times out runs without heartbeats or with dead runners, and requests runs that timed out again. Does nothing while
 * another process checks.
 */
export async function checkTimeouts(db: Database, logger: Logger): Promise<void> {
  const timedOutRuns = await inTransaction(db, async (tx) => {
    const now = await claimTurn(tx, 'silent')
    if (!now) return 0
    const dead = await findDeadRunners(tx)
    if (dead.length > 0)
      logger.warn({ event: 'metric_maintenance.runner_dead', runners: dead.map(({ runner }) => runner) })
    const { timedOut, failed, requestedAgain } = await timeOutRuns(tx, now, dead)
    if (timedOut.length > 0)
      logger.warn({ event: 'metric_maintenance.timed_out', runs: timedOut.length, first: timedOut[0] })
    if (failed.length > 0)
      logger.error({ event: 'metric_maintenance.gave_up', runs: failed.length, first: failed[0] })
    if (requestedAgain.length > 0)
      logger.info({
        event: 'metric_maintenance.requested_again',
        runs: requestedAgain.length,
        first: requestedAgain[0],
      })
    return timedOut.length
  })
  if (timedOutRuns > 0) await failPoint('metrics.after-time-out')
}

/** Expires pending runs whose datasets did not arrive in time. Does nothing while another process checks. */
export async function checkExpired(db: Database, logger: Logger): Promise<void> {
  const expiredRuns = await inTransaction(db, async (tx) => {
    const now = await claimTurn(tx, 'pending')
    if (!now) return 0
    const expired = await expirePendingRuns(tx, now)
    if (expired.length > 0)
      logger.warn({ event: 'metric_maintenance.expired', runs: expired.length, first: expired[0] })
    return expired.length
  })
  if (expiredRuns > 0) await failPoint('metrics.after-expire')
}

/** Fails runs whose results could not be imported. Does nothing while another process checks. */
export async function checkFailedImports(db: Database, logger: Logger): Promise<void> {
  await inTransaction(db, async (tx) => {
    if (!(await claimTurn(tx, 'results'))) return
    const failed = await failRunsOfFailedImports(tx)
    if (failed.length > 0)
      logger.warn({ event: 'metric_maintenance.import_failed', runs: failed.length, first: failed[0] })
  })
}

/** Returns the time of the database, or undefined while another process does this check. */
async function claimTurn(
  tx: Parameters<typeof expirePendingRuns>[0],
  what: string,
): Promise<Date | undefined> {
  const rows = await sql<{ now: Date; mine: boolean }>`select clock_timestamp() as now,
    pg_try_advisory_xact_lock(${LOCKS.metricUpkeep(what)}) as mine`.execute(tx)
  const [row] = rows.rows
  return row?.mine === true ? row.now : undefined
}
