import type { Principal } from '@aduana/contracts/identity'
import { Completeness, OutstandingRun } from '@aduana/contracts/metrics/http-runs'
import { OPEN_RUNS, RETRIABLE_RUNS, RunStatus, UNSUCCESSFUL_RUNS } from '@aduana/contracts/metrics/runs'
import type { Database, ReadTx } from '@aduana/db/database'
import { literals } from '@aduana/db/literals'
import { sql } from 'kysely'
import {
  daysOrNull,
  instant,
  isVisibleToRole,
  nextOverlapsReader,
  nextWithinReader,
  pendingDatasets,
  runOverlapsReader,
  runWithinReader,
  textOf,
  updateOverlapsReader,
  updateWithinReader,
  visibleError,
} from './sql.ts'

/** The maximum number of runs, or updates, in one response. */
const MAX_RUNS = 200

const OUTSTANDING: readonly RunStatus[] = [...OPEN_RUNS, ...UNSUCCESSFUL_RUNS]

interface Row {
  id: string
  metric: string
  status: string
  days: string | null
  shown: boolean
  waits_for: unknown
  expires_at: Date | null
  error: unknown
}

const INPUT_METRICS = (metricId: string) => sql`with recursive inputs as (
    select ${metricId}::uuid as id
    union
    select d.needs_metric_id from inputs b join metric_dependencies d on d.metric_id = b.id
    where d.needs_metric_id is not null
  )`

/**
 * Returns whether the values of a metric are up to date with the data that the reader may see. Read it before the
 * values. Runs of metrics that need another role count, but are not listed.
 */
export async function completenessOf(
  tx: ReadTx,
  principal: Principal,
  metricId: string,
): Promise<Completeness> {
  // In this order: an update that is fanned out between the two queries has its run in the second.
  const notPassedOn = await pendingUpdates(tx, metricId)
  const { outstanding, hidden } = await outstandingRuns(tx, principal, metricId)
  const complete = outstanding.length === 0 && !hidden && notPassedOn.length === 0
  return Completeness.parse({ complete, outstanding, notPassedOn })
}

async function pendingUpdates(tx: ReadTx, metricId: string): Promise<unknown[]> {
  const { rows } = await sql<{ days: string | null }>`
    select u.id as "updateId", d.code as dataset, case when ${updateWithinReader} then u.days::text end as days,
      ${instant(sql`u.occurred_at`)} as "occurredAt"
    from metric_dependencies k join datasets d on d.id = k.dataset_id join dataset_updates u on u.dataset_id = d.id
    where k.metric_id = ${metricId} and u.fanned_out_at is null and not isempty(u.days) and ${updateOverlapsReader}
    order by u.occurred_at, u.id limit ${MAX_RUNS}`.execute(tx)
  return rows.map((row) => ({ ...row, days: daysOrNull(row.days) }))
}

/**
 * Returns the runs of a metric and its input metrics whose days are not up to date: open runs, with the days for the
 * runs that follow them, and runs that ended without values and that no later run has resolved. Input metrics come
 * first. `hidden` is true when there are runs of metrics that need another role.
 */
async function outstandingRuns(
  tx: ReadTx,
  principal: Principal,
  metricId: string,
): Promise<{ outstanding: OutstandingRun[]; hidden: boolean }> {
  const rows = await sql<Row>`
    ${INPUT_METRICS(metricId)}
    select r.id, m.code as metric, ${isVisibleToRole(principal)} as shown, r.status,
      (case when not ${runOverlapsReader} then '{}' when ${runWithinReader} then r.days end
        + case when not ${nextOverlapsReader} then '{}' when ${nextWithinReader} then r.next_days end)::text as days,
      ${pendingDatasets} as waits_for, case when ${runWithinReader} then r.expires_at end as expires_at, ${visibleError} as error
    from inputs b join metrics m on m.id = b.id join metric_runs r on r.metric_id = m.id
      join metric_versions v on v.metric_id = m.id and v.version = m.current_version
    where (r.status in (${literals(OPEN_RUNS)}) or ${isUnresolved})
      and (${runOverlapsReader} or ${nextOverlapsReader})
    order by shown desc, m.level, m.code, r.created_at, r.id limit ${MAX_RUNS}`.execute(tx)
  const outstanding = rows.rows.filter(({ shown }) => shown).map(outstandingRun)
  return { outstanding, hidden: outstanding.length < rows.rows.length }
}

function outstandingRun(row: Row): OutstandingRun {
  return OutstandingRun.parse({
    runId: row.id,
    metric: row.metric,
    status: row.status,
    days: daysOrNull(row.days),
    waitsFor: row.waits_for,
    expiresAt: row.status === 'PENDING' ? textOf(row.expires_at) : null,
    error: row.error,
  })
}

/** Returns the number of outstanding runs of all metrics by status, including those with 0. */
export async function countOutstandingRuns(db: Database): Promise<Map<RunStatus, number>> {
  const { rows } = await sql<{ status: string; runs: string }>`
    select r.status, count(*) as runs from metric_runs r
    where r.status in (${literals(OPEN_RUNS)}) or ${isUnresolved}
    group by r.status`.execute(db)
  const counts = new Map<RunStatus, number>(OUTSTANDING.map((status) => [status, 0]))
  for (const { status, runs } of rows) counts.set(RunStatus.parse(status), Number(runs))
  return counts
}

/**
 * SQL: the run `r` ended without values, and no run has computed its days since. A cancelled recomputation counts as
 * resolved.
 */
export const isUnresolved = sql<boolean>`(
  (r.status in (${literals(RETRIABLE_RUNS)}) or (r.status = 'CANCELLED' and r.cause <> 'recompute'))
  and r.taken_over_by is null
  and not exists (select from metric_runs s
    where s.metric_id = r.metric_id and s.status = 'SUCCEEDED' and s.completed_at >= r.completed_at
      and s.days @> r.days and (s.companies is null or s.companies @> r.companies)
      and (s.warehouses is null or s.warehouses @> r.warehouses)))`
