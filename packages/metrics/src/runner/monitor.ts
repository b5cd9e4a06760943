import { type Database, inTransaction } from '@aduana/db/database'
import type { Logger } from '@aduana/runtime/logger'
import { startPollLoop } from '@aduana/runtime/poll-loop'
import { sql } from 'kysely'
import { recordHeartbeats } from '../runs/runner-events.ts'
import type { ClaimedRun } from './claim.ts'

/** Sends heartbeats of runs while they are computed, and detects when they are ended or requested again. */
export interface RunMonitor {
  /** Runs that were cancelled, or that timed out and were requested again. */
  lost: ReadonlySet<string>
  /** Calls `onLost` when one of these runs is lost, also at once. Replaces the previous guard. */
  guard(runIds: readonly string[], onLost: () => void): void
  /** Sets the completed share of the guarded runs, from 0 to 1. */
  progress(share: number): void
  /** Stops monitoring these runs. */
  ended(runIds: readonly string[]): void
  stop(): Promise<void>
}

const POLL_MS = 1000
/** Polls between two heartbeats. */
const POLLS_PER_HEARTBEAT = 3

/** Monitors runs, on another connection than the one that computes. */
export function monitorRuns(db: Database, claimed: readonly ClaimedRun[], logger: Logger): RunMonitor {
  const open = new Map(claimed.map(({ runId, attempt }) => [runId, attempt]))
  const shares = new Map<string, number>()
  const lost = new Set<string>()
  let guarded: readonly string[] = []
  let notify: () => void = () => undefined
  let polls = 0

  const markLost = (runIds: readonly string[]) => {
    const gone = runIds.filter((id) => open.delete(id))
    if (gone.length === 0) return
    for (const id of gone) lost.add(id)
    logger.info({ event: 'metric_runner.lost', runs: gone.length, first: gone[0] })
    if (gone.some((id) => guarded.includes(id))) notify()
  }
  const pollLoop = startPollLoop({
    intervalMs: POLL_MS,
    poll: async () => {
      markLost(await findLost(db, open))
      polls += 1
      if (polls % POLLS_PER_HEARTBEAT === 0) markLost(await sendHeartbeats(db, open, shares))
    },
    onError: (error) => logger.warn({ event: 'metric_runner.monitor_failed', err: error }),
  })
  return {
    lost,
    guard: (runIds, onLost) => {
      guarded = runIds
      notify = onLost
      if (runIds.some((id) => lost.has(id))) onLost()
    },
    progress: (share) => {
      for (const id of guarded) shares.set(id, share)
    },
    ended: (runIds) => {
      for (const id of runIds) open.delete(id)
    },
    stop: () => pollLoop.stop(),
  }
}

async function findLost(db: Database, open: ReadonlyMap<string, number>): Promise<string[]> {
  if (open.size === 0) return []
  const rows = [...open].map(([id, attempt]) => ({ id, attempt }))
  const found = await sql<{
    id: string
  }>`select o.id from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as o(id uuid, attempt integer)
    where not exists (select from metric_runs r where r.id = o.id and r.attempt = o.attempt and r.status = 'RUNNING')`.execute(
    db,
  )
  return found.rows.map(({ id }) => id)
}

async function sendHeartbeats(
  db: Database,
  open: ReadonlyMap<string, number>,
  shares: ReadonlyMap<string, number>,
): Promise<string[]> {
  if (open.size === 0) return []
  const at = new Date().toISOString()
  const events = [...open].map(([runId, attempt]) => {
    const progress = shares.get(runId)
    return { runId, attempt, at, ...(progress === undefined ? {} : { progress: Math.min(1, progress) }) }
  })
  const outcomes = await inTransaction(db, (tx) => recordHeartbeats(tx, events))
  return events.filter((_, index) => outcomes[index] !== 'applied').map(({ runId }) => runId)
}
