import type { DomainEvent } from '@aduana/contracts/events'
import { runStatesBefore } from '@aduana/contracts/metrics/runs'
import type { Tx } from '@aduana/db/database'
import { fromMultirange } from '@aduana/metric-compute/expressions/multirange'
import { groupBy } from '@aduana/metric-compute/group-by'
import { sql } from 'kysely'
import { logEvents, runFacts } from './event-log.ts'
import { dependentChanges, type ScheduledRuns, scheduleRuns } from './schedule.ts'
import { type ChangedRun, changeRuns, type RunValues } from './transitions.ts'

interface RunError {
  code: string
  detail: string
  /** The import of its results, if that failed. */
  job?: string
}

/** How a run ends. */
export type RunEnding = { id: string; attempt: number } & (
  | { to: 'SUCCEEDED'; rowCount: number; days: string; manifest?: unknown }
  | { to: 'FAILED'; error: RunError }
  | { to: 'EXPIRED'; error: RunError; waitedFor: readonly string[] }
  | { to: 'CANCELLED'; by: string | null }
)

/**
 * Ends runs and applies the consequences in the same transaction: the runs that follow them, the runs of dependent
 * metrics, and requests for runs that waited for them. The caller holds the locks of the runs, of their metrics and
 * of all dependents (`locked`), and has checked that the runs are open and in this attempt. Returns the ids of the
 * runs.
 * @throws OvertakenRunError when one of them is not
 */
export async function endRuns(
  tx: Tx,
  endings: readonly RunEnding[],
  locked: readonly string[],
): Promise<{ ended: string[] } & ScheduledRuns> {
  const ended = await applyEndings(tx, endings)
  const byId = new Map(endings.map((ending) => [ending.id, ending]))
  await logEndings(tx, ended, byId)
  const ids = ended.map(({ id }) => id)
  await createFollowUpRuns(tx, ids)
  const succeeded = ids.filter((id) => byId.get(id)?.to === 'SUCCEEDED')
  return { ended: ids, ...(await scheduleRuns(tx, await dependentChanges(tx, succeeded), locked)) }
}

async function applyEndings(tx: Tx, endings: readonly RunEnding[]): Promise<ChangedRun[]> {
  const ended: ChangedRun[] = []
  for (const [to, group] of groupBy(endings, (ending) => ending.to)) {
    const change = {
      status: to,
      completed_at: sql<Date>`clock_timestamp()`,
      retry_at: null,
      error: sql<string | null>`own.error`,
      ...(to === 'SUCCEEDED'
        ? {
            progress: 1,
            started_at: sql<Date>`coalesce(started_at, requested_at)`,
            row_count: sql<string>`own.row_count`,
            output_days: sql<string>`own.output_days`,
            manifest: sql<string | null>`own.manifest`,
          }
        : {}),
    }
    ended.push(...(await changeRuns(tx, group.map(valuesOf), runStatesBefore(to), change)))
  }
  return ended
}

function valuesOf(ending: RunEnding): RunValues {
  const { id, attempt } = ending
  if (ending.to === 'CANCELLED') return { id, attempt }
  if (ending.to !== 'SUCCEEDED') return { id, attempt, error: ending.error }
  const { rowCount, days, manifest } = ending
  return {
    id,
    attempt,
    row_count: rowCount,
    output_days: days,
    ...(manifest === undefined ? {} : { manifest }),
  }
}

async function logEndings(
  tx: Tx,
  ended: readonly ChangedRun[],
  endings: ReadonlyMap<string, RunEnding>,
): Promise<void> {
  if (ended.length === 0) return
  const facts = await runFacts(
    tx,
    ended.map(({ id }) => id),
  )
  const events = ended.flatMap(({ id, attempt }) => {
    const [ending, of] = [endings.get(id), facts.get(id)]
    return ending && of
      ? [{ key: `${id}:${attempt}:${ending.to.toLowerCase()}`, event: eventOf(ending, of) }]
      : []
  })
  await logEvents(tx, events)
}

function eventOf(ending: RunEnding, of: { runId: string; metric: string; asOf: string }): DomainEvent {
  const { attempt } = ending
  if (ending.to === 'SUCCEEDED') {
    const { rowCount, days } = ending
    return { type: 'metric_run.succeeded', ...of, attempt, rowCount, days: fromMultirange(days) }
  }
  if (ending.to === 'FAILED') return { type: 'metric_run.failed', ...of, attempt, error: ending.error }
  if (ending.to === 'EXPIRED') return { type: 'metric_run.expired', ...of, waitedFor: [...ending.waitedFor] }
  return { type: 'metric_run.cancelled', ...of, by: ending.by }
}

/**
 * Creates the runs that follow ended ones, from the changes and inputs that arrived while these were with their
 * runners. They wait for no dataset; `scheduleRuns` requests them.
 */
async function createFollowUpRuns(tx: Tx, endedIds: readonly string[]): Promise<void> {
  await sql`
    with ended as (
      select * from metric_runs where id = any (${endedIds}::uuid[]) and next_days is not null
    ), follow_up as (
      insert into metric_runs (metric_id, metric_version, occurred_at, as_of, status, cause, days, companies, warehouses,
        expires_at)
      select e.metric_id, m.current_version, e.occurred_at, e.as_of, 'PENDING', e.cause, e.next_days, e.next_companies,
        e.next_warehouses, greatest(e.expires_at, clock_timestamp() + interval '24 hours')
      from ended e join metrics m on m.id = e.metric_id and m.retired_at is null
      returning id, metric_id, as_of
    ), moved as (
      update run_dataset_updates i set run_id = f.id, for_next = false
      from ended e join follow_up f using (metric_id, as_of) where i.run_id = e.id and i.for_next
    )
    update metric_runs r set next_days = null, next_companies = null, next_warehouses = null
    from ended e where r.id = e.id`.execute(tx)
}
