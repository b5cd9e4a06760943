import { MAX_ATTEMPTS, RunStatus, runStatesBefore } from '@aduana/contracts/metrics/runs'
import type { Tx } from '@aduana/db/database'
import { backoff } from '@aduana/runtime/backoff'
import { sql } from 'kysely'
import { requestRuns } from '../requests/request.ts'
import type { DeadRunner } from '../runner/liveness.ts'
import { endRuns } from './end.ts'
import { logEvents, runFacts } from './event-log.ts'
import { lockRuns, lockWithDependents } from './locks.ts'
import { type ChangedRun, changeRuns } from './transitions.ts'

/** The runs of a timeout check, as ids. */
export interface TimedOutRuns {
  timedOut: string[]
  /** Those of them that were requested often enough. */
  failed: string[]
  /** Runs that timed out, now or before, and are requested again. */
  requestedAgain: string[]
}

interface Silent {
  runId: string
  metricId: string
  status: RunStatus
  attempt: number
  runner: string | null
}

/**
 * The number of attempts in which a run is requested again at once when its worker dies. After that the run itself
 * may kill its workers, and is requested after a backoff.
 */
const REQUESTED_AT_ONCE = 2

/**
 * Times out runs that no runner has started within the `startSeconds` of their metric, or without a heartbeat for its
 * `heartbeatSeconds`. They become TIMED_OUT and are requested again after a backoff (10 s, 20 s, …). After
 * `MAX_ATTEMPTS` they are FAILED. Runs of `gone` runners time out at once, and are requested again at once if their
 * worker has ended. A run whose results are being imported does not time out. Call it every few seconds, in a
 * transaction of its own.
 */
export async function timeOutRuns(
  tx: Tx,
  now = new Date(),
  gone: readonly DeadRunner[] = [],
): Promise<TimedOutRuns> {
  const found = await findSilent(tx, now, gone)
  if (found.length === 0) return { timedOut: [], failed: [], requestedAgain: [] }
  const locked = await lockWithDependents(tx, [...new Set(found.map(({ metricId }) => metricId))])
  await lockRuns(tx, found, locked)
  const silent = (await findSilent(tx, now, gone)).filter(({ metricId }) => locked.includes(metricId))
  const due = silent.filter(({ status }) => status === 'TIMED_OUT').map(({ runId }) => runId)
  const late = silent.filter(({ status }) => status !== 'TIMED_OUT')
  const lost = new Set(late.filter((run) => isRequestedAtOnce(run, gone)).map(({ runId }) => runId))
  const timedOut = await timeOut(tx, late, lost, now)
  const again = timedOut.map(({ id }) => id).filter((id) => lost.has(id))
  const requestedAgain = await requestRuns(tx, [...due, ...again], ['TIMED_OUT'])
  const spent = timedOut.filter(({ attempt }) => attempt % MAX_ATTEMPTS === 0)
  const { ended } = await endRuns(tx, spent.map(failure), locked)
  return { timedOut: timedOut.map(({ id }) => id), failed: ended, requestedAgain }
}

function failure({ id, attempt }: ChangedRun) {
  const detail = `The heartbeats of the runner stopped in each of the last ${MAX_ATTEMPTS} attempts.`
  return { id, attempt, to: 'FAILED', error: { code: 'no_sign_of_life', detail } } as const
}

function isRequestedAtOnce({ runner, attempt }: Silent, gone: readonly DeadRunner[]): boolean {
  if ((attempt - 1) % MAX_ATTEMPTS >= REQUESTED_AT_ONCE) return false
  return gone.some((dead) => dead.ended && dead.runner === runner)
}

async function findSilent(tx: Tx, now: Date, gone: readonly DeadRunner[]): Promise<Silent[]> {
  const at = sql`${now.toISOString()}::timestamptz`
  const runners = gone.map(({ runner }) => runner)
  const rows = await sql<{
    id: string
    metric_id: string
    status: string
    attempt: number
    runner: string | null
  }>`select r.id, r.metric_id, r.status, r.attempt, r.runner
    from metric_runs r join metric_versions v on v.metric_id = r.metric_id and v.version = r.metric_version
    where r.job_id is null and ((r.status = 'REQUESTED'
        and r.requested_at + coalesce((v.definition ->> 'startSeconds')::integer, 300) * interval '1 second' < ${at})
      or (r.status = 'RUNNING' and coalesce(r.last_heartbeat_at, r.started_at, r.requested_at)
        + coalesce((v.definition ->> 'heartbeatSeconds')::integer, 60) * interval '1 second' < ${at})
      or (r.status = 'RUNNING' and r.runner = any (${runners}::text[]))
      or (r.status = 'TIMED_OUT' and coalesce(r.retry_at, r.updated_at) <= ${at}))`.execute(tx)
  return rows.rows.map((row) => ({
    runId: row.id,
    metricId: row.metric_id,
    status: RunStatus.parse(row.status),
    attempt: row.attempt,
    runner: row.runner,
  }))
}

/** Returns the seconds until a run that timed out in this attempt is requested again: 10, 20, 40 … */
function retryAfterSeconds(attempt: number): number {
  return backoff(1 + ((attempt - 1) % MAX_ATTEMPTS), { first: 10, longest: 600 })
}

async function timeOut(
  tx: Tx,
  silent: readonly Silent[],
  atOnce: ReadonlySet<string>,
  now: Date,
): Promise<ChangedRun[]> {
  const own = silent.map(({ runId, attempt }) => ({
    id: runId,
    attempt,
    retry_at: new Date(now.getTime() + (atOnce.has(runId) ? 0 : retryAfterSeconds(attempt) * 1000)),
  }))
  const changed = await changeRuns(tx, own, runStatesBefore('TIMED_OUT'), {
    status: 'TIMED_OUT',
    retry_at: sql<Date>`own.retry_at`,
  })
  const facts = await runFacts(
    tx,
    changed.map(({ id }) => id),
  )
  const retryAt = new Map(own.map((run) => [run.id, run.retry_at.toISOString()]))
  await logEvents(
    tx,
    changed.flatMap(({ id, attempt }) => {
      const [of, at] = [facts.get(id), retryAt.get(id)]
      if (!of || at === undefined) return []
      const event = { type: 'metric_run.timed_out', attempt, retryAt: at } as const
      return [{ key: `${id}:${attempt}:timed-out`, event: { ...event, ...of } }]
    }),
  )
  return changed
}
