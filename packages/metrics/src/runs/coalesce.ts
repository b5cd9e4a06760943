import { OPEN_RUNS, type RunCause } from '@aduana/contracts/metrics/runs'
import type { Tx } from '@aduana/db/database'
import { literals } from '@aduana/db/literals'
import { sql } from 'kysely'
import { adoptExpiredRuns } from './adopt-expired.ts'
import { addScopes, unionScopes } from './scopes.ts'

/** A change of inputs for which metrics are to be computed. */
export interface Change {
  cause: RunCause
  occurredAt: Date
  /** A `datemultirange` as text, not empty. */
  days: string
  /** Null means all. */
  companies: readonly string[] | null
  warehouses: readonly string[] | null
  /** The dataset of the update. */
  datasetId?: string
  updateId?: string
  /** Runs whose input updates are inputs here too, by dependent metric. */
  inputRuns?: readonly { metricId: string; runId: string }[]
  /** Whether to wait for datasets without a timely update. A manual request does not. */
  waitForDatasets: boolean
  requestedBy?: string
}

/** The run to which a change was assigned. */
export interface AssignedRun {
  metric_id: string
  run_id: string
  /** Whether the change is for the run that follows, because this one is with its runner. */
  for_next: boolean
  /** Whether the run was created for this change. */
  fresh: boolean
}

/** SQL: the run `r` waits for no dataset. */
export const waitsForNoDataset = sql<boolean>`not exists (
  select from metric_run_pending_datasets p where p.run_id = r.id and p.satisfied_by is null)`

/**
 * Assigns a change to runs of metrics, in a number of statements that does not depend on the number of metrics. An
 * open run of the same day takes it: for itself while it is not with its runner, otherwise for the run that follows.
 * So does a run of another day that waits for no dataset, if this change waits for none either. The other metrics get
 * new PENDING runs with the datasets that they wait for; `requestReadyRuns` then requests those that wait for none.
 * An update of another dataset counts only from its fan-out. Before that its days are still to come, and a run that
 * has it as an input could not take it for the run that follows.
 * The caller holds the locks of the metrics.
 */
export async function coalesceChange(
  tx: Tx,
  change: Change,
  metricIds: readonly string[],
): Promise<AssignedRun[]> {
  if (metricIds.length === 0 || change.days === '{}') return []
  const hasExpired = await lockOpenRuns(tx, metricIds)
  const assigned = await assignRuns(tx, change, metricIds)
  if (hasExpired) await adoptExpiredRuns(tx, assigned)
  await inheritInputs(tx, change, assigned)
  if (!change.waitForDatasets) await clearPendingDatasets(tx, assigned)
  return assigned
}

/**
 * Locks the runs that may take a change, if `lockRuns` has not. Returns whether there are expired runs that no run
 * has taken over.
 */
async function lockOpenRuns(tx: Tx, metricIds: readonly string[]): Promise<boolean> {
  const rows = await sql<{ status: string }>`select status from metric_runs
    where metric_id = any (${metricIds}::uuid[]) and (status in (${literals(OPEN_RUNS)})
      or (status = 'EXPIRED' and taken_over_by is null))
    order by id for no key update`.execute(tx)
  return rows.rows.some(({ status }) => status === 'EXPIRED')
}

async function assignRuns(tx: Tx, change: Change, metricIds: readonly string[]): Promise<AssignedRun[]> {
  const at = sql`${change.occurredAt.toISOString()}::timestamptz`
  const asOf = sql`(${at} at time zone 'UTC')::date`
  const days = sql`${change.days}::datemultirange`
  const companies = sql`${change.companies}::text[]`
  const warehouses = sql`${change.warehouses}::text[]`
  const added = (name: 'companies' | 'warehouses', value: typeof companies) => {
    const [own, next] = [sql.ref(`r.${name}`), sql.ref(`r.next_${name}`)]
    return sql`${sql.ref(name)} = case when t.takes then ${unionScopes(own, value)} else ${own} end,
      ${sql.ref(`next_${name}`)} = case when t.takes then ${next} else ${addScopes(sql`r.next_days`, next, value)} end`
  }
  const rows = await sql<AssignedRun>`
    with wanted as (
      select id, current_version from metrics where id = any (${metricIds}::uuid[]) and retired_at is null
    ), needed as (
      select d.metric_id, d.dataset_id, d.required_days, d.dataset_id is not distinct from ${change.datasetId ?? null}::uuid as own
      from metric_dependencies d join wanted on wanted.id = d.metric_id where d.dataset_id is not null
    ), latest as (
      select n.dataset_id, n.required_days, u.id as update_id
      from (select distinct dataset_id, required_days from needed where not own) n left join lateral (
        select u.id from dataset_updates u where u.dataset_id = n.dataset_id and u.fanned_out_at is not null
          and u.occurred_at between ${at} - n.required_days * interval '24 hours' and ${at} + n.required_days * interval '24 hours'
        order by u.occurred_at desc limit 1) u on true
    ), missing as (
      select n.metric_id, n.dataset_id, n.required_days from needed n join latest l using (dataset_id, required_days)
      where not n.own and l.update_id is null and ${change.waitForDatasets}::boolean
    ), open as (
      select r.id, r.metric_id, r.as_of, w.current_version,
        r.status = 'PENDING' or (r.status = 'REQUESTED' and v.definition ->> 'runner' = 'builtin') as takes,
        ${waitsForNoDataset} as complete
      from wanted w join metric_runs r on r.metric_id = w.id
        join metric_versions v on v.metric_id = r.metric_id and v.version = r.metric_version
      where r.status in (${literals(OPEN_RUNS)})
    ), target as (
      select distinct on (o.metric_id) o.* from open o
      where o.as_of = ${asOf} or (o.takes and o.complete and o.metric_id not in (select metric_id from missing))
      order by o.metric_id, o.takes desc, o.as_of = ${asOf} desc, o.as_of desc
    ), merged as (
      update metric_runs r set
        days = case when t.takes then r.days + ${days} else r.days end,
        next_days = case when t.takes then r.next_days else coalesce(r.next_days, '{}') + ${days} end,
        ${added('companies', companies)}, ${added('warehouses', warehouses)},
        metric_version = case when t.takes then t.current_version else r.metric_version end,
        version = r.version + 1, updated_at = clock_timestamp()
      from target t where r.id = t.id
      returning r.metric_id, r.id as run_id, not t.takes as for_next, false as fresh
    ), created as (
      insert into metric_runs (metric_id, metric_version, occurred_at, as_of, status, cause, days, companies, warehouses,
        expires_at, requested_by)
      select w.id, w.current_version, ${at}, ${asOf}, 'PENDING', ${change.cause}, ${days}, ${companies}, ${warehouses},
        ${at} + interval '24 hours' * coalesce(
          (select min(required_days) from missing where metric_id = w.id),
          (select min(required_days) from needed where metric_id = w.id), 1), ${change.requestedBy ?? null}::uuid
      from wanted w where w.id not in (select metric_id from target)
      returning metric_id, id as run_id, false as for_next, true as fresh
    ), assigned as (select * from merged union all select * from created),
    waiting as (
      insert into metric_run_pending_datasets (run_id, dataset_id, required_days)
      select c.run_id, m.dataset_id, m.required_days from created c join missing m using (metric_id)
    ), inputs as (
      insert into run_dataset_updates (run_id, update_id, for_next)
      select t.run_id, l.update_id, t.for_next from assigned t join needed n using (metric_id)
        join latest l using (dataset_id, required_days) where not n.own and l.update_id is not null
      union
      select t.run_id, ${change.updateId ?? null}::uuid, t.for_next from assigned t
        where ${change.updateId ?? null}::uuid is not null
      on conflict do nothing
    )
    select * from assigned`.execute(tx)
  return rows.rows
}

/** Copies the inputs of the runs from which the change comes. */
async function inheritInputs(
  tx: Tx,
  { inputRuns = [] }: Change,
  assigned: readonly AssignedRun[],
): Promise<void> {
  if (inputRuns.length === 0) return
  const runOf = new Map(assigned.map((run) => [run.metric_id, run]))
  const pairs = inputRuns.flatMap(({ metricId, runId }) => {
    const run = runOf.get(metricId)
    return run ? [{ to_run: run.run_id, from_run: runId, for_next: run.for_next }] : []
  })
  await sql`insert into run_dataset_updates (run_id, update_id, for_next)
    select distinct on (p.to_run, i.update_id) p.to_run, i.update_id, p.for_next
    from jsonb_to_recordset(${JSON.stringify(pairs)}::jsonb) as p(to_run uuid, from_run uuid, for_next boolean)
      join run_dataset_updates i on i.run_id = p.from_run and not i.for_next
    on conflict do nothing`.execute(tx)
}

async function clearPendingDatasets(tx: Tx, assigned: readonly AssignedRun[]): Promise<void> {
  await sql`delete from metric_run_pending_datasets where satisfied_by is null
    and run_id = any (${assigned.filter(({ for_next }) => !for_next).map(({ run_id }) => run_id)}::uuid[])`.execute(
    tx,
  )
}
