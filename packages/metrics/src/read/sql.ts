import type { DayRange } from '@aduana/contracts/dates'
import { hasRole, type Principal, Role } from '@aduana/contracts/identity'
import type { ReadTx } from '@aduana/db/database'
import { fromMultirange } from '@aduana/metric-compute/expressions/multirange'
import { type RawBuilder, sql } from 'kysely'

/** Returns SQL for a timestamp as JSON text. */
export const instant = (moment: RawBuilder<unknown>) =>
  sql<string>`to_char(${moment} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`

/** Returns SQL: the metric of version `v` requires a role that the reader has. */
export function isVisibleToRole({ role }: Principal) {
  const roles = Role.options.filter((needed) => hasRole(role, needed))
  return sql<boolean>`coalesce(v.definition ->> 'role', 'viewer') = any (${roles}::text[])`
}

/** The columns with the companies and warehouses of a run or an update; null means all. */
interface Scope {
  companies: string
  warehouses: string
}

const RUN: Scope = { companies: 'r.companies', warehouses: 'r.warehouses' }
const NEXT: Scope = { companies: 'r.next_companies', warehouses: 'r.next_warehouses' }
const UPDATE: Scope = { companies: 'u.companies', warehouses: 'u.warehouses' }

const overlapsReader = (scope: Scope) => {
  const [some, places] = [sql.ref(scope.companies), sql.ref(scope.warehouses)]
  return sql<boolean>`
    ((reader_companies() is null or ${some} is null or ${some} && reader_companies())
    and (reader_warehouses() is null or ${places} is null or ${places} && reader_warehouses()))`
}

/** SQL: the reader may see some of the companies and warehouses of run `r`. */
export const runOverlapsReader = overlapsReader(RUN)

/** SQL: the reader may see some of the changes for the run that follows `r`. */
export const nextOverlapsReader = sql<boolean>`(r.next_days is not null and ${overlapsReader(NEXT)})`

/** SQL: the reader may see some of the companies and warehouses of update `u`. */
export const updateOverlapsReader = overlapsReader(UPDATE)

/** SQL: the datasets of the metric of run `r`; none for a retired metric. */
const DATASETS_OF_RUN = sql`metric_dependencies n join datasets o on o.id = n.dataset_id
  join dataset_versions x on x.dataset_id = o.id and x.version = o.current_version where n.metric_id = r.metric_id`

/** SQL: no dataset of the metric of run `r` has a company, or warehouse, column. */
const runHasNo = (place: 'company' | 'warehouse') => sql`(exists (select from ${DATASETS_OF_RUN})
  and not exists (select from ${DATASETS_OF_RUN} and x.definition -> 'scope' ->> ${place} is not null))`

/** SQL: the dataset of update `u` has no company, or warehouse, column. */
const updateHasNo = (place: 'company' | 'warehouse') => sql`exists (select from datasets o
  join dataset_versions x on x.dataset_id = o.id and x.version = o.current_version
  where o.id = u.dataset_id and x.definition -> 'scope' ->> ${place} is null)`

const withinReader = (scope: Scope, hasNo: typeof runHasNo) => sql<boolean>`
  ((reader_companies() is null or coalesce(${sql.ref(scope.companies)} <@ reader_companies(), false) or ${hasNo('company')})
  and (reader_warehouses() is null or coalesce(${sql.ref(scope.warehouses)} <@ reader_warehouses(), false)
    or ${hasNo('warehouse')}))`

/**
 * SQL: the reader may see the whole scope of run `r`. Only then are its days and results shown, because they are not
 * known by company.
 */
export const runWithinReader = withinReader(RUN, runHasNo)

/** SQL: the reader may see the whole scope of the changes for the run that follows `r`. */
export const nextWithinReader = withinReader(NEXT, runHasNo)

/** SQL: the reader may see the whole scope of update `u`. */
export const updateWithinReader = withinReader(UPDATE, updateHasNo)

/** Replaces the text of an error that may mention other companies. */
const HIDDEN_ERROR_DETAIL =
  'The error is not shown, because the run includes companies or warehouses that you have no access to.'

/**
 * SQL: the error of run `r` as the reader may see it: only its code unless the reader may see the whole run, and only
 * a job that is visible.
 */
export const visibleError = sql<unknown>`case when r.error is null or not ${runOverlapsReader} then null
  when not ${runWithinReader} then jsonb_build_object('code', r.error -> 'code', 'detail', ${HIDDEN_ERROR_DETAIL}::text)
  when exists (select from jobs j where j.id::text = r.error ->> 'job') then r.error else r.error - 'job' end`

/** Returns SQL for the companies, or warehouses, of run `r` that the reader may see; null means all. */
export function visibleScope(name: 'companies' | 'warehouses') {
  const own = sql.ref(`r.${name}`)
  const reader = name === 'companies' ? sql`reader_companies()` : sql`reader_warehouses()`
  return sql<string[] | null>`case when ${own} is null or ${reader} is null then ${own}
    else array(select s from unnest(${own}) s where s = any (${reader}) order by s) end`
}

/**
 * SQL: the time of the change that caused run `r`. For readers who may not see the whole run, the time of the first
 * update that they may see, or when the run was created.
 */
export const visibleOccurredAt = sql<Date>`case when ${runWithinReader} then r.occurred_at
  else coalesce((select min(u.occurred_at) from run_dataset_updates i join dataset_updates u on u.id = i.update_id
    where i.run_id = r.id and ${updateOverlapsReader}), r.created_at) end`

/** SQL: the deadline of the pending dataset `p` of run `r`; null for readers who may not see the whole run. */
export const visibleDeadline = sql<string | null>`case when ${runWithinReader}
  then ${instant(sql`(r.occurred_at + p.required_days * interval '24 hours')`)} end`

/** SQL: the datasets that run `r` waits for, or that expired it, with their deadlines. */
export const pendingDatasets = sql<unknown>`(
  select coalesce(json_agg(json_build_object('dataset', w.code, 'until', ${visibleDeadline}) order by w.code), '[]')
  from metric_run_pending_datasets p join datasets w on w.id = p.dataset_id
  where p.run_id = r.id and p.satisfied_by is null and r.status in ('PENDING', 'EXPIRED'))`

/**
 * Makes the planner read an index in order until it has enough rows. Otherwise it underestimates how many rows pass
 * row-level security, and reads and sorts everything.
 */
export async function preferIndexOrder(tx: ReadTx): Promise<void> {
  await sql`select set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true),
    set_config('enable_sort', 'off', true)`.execute(tx)
}

/** Returns a timestamp of a row as JSON text. */
export function textOf(moment: Date | null): string | null {
  return moment?.toISOString() ?? null
}

/** Parses a multirange of days; null where the reader may not see them. */
export function daysOrNull(days: string | null): DayRange[] | null {
  return days === null ? null : fromMultirange(days)
}
