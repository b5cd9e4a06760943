import type { DayRange } from '@aduana/contracts/dates'
import { hasRole, type Principal, Role } from '@aduana/contracts/identity'
import type { ReadTx } from '@aduana/db/database'
import { fromMultirange } from '@aduana/metric-compute/expressions/multirange'
import { type RawBuilder, sql } from 'kysely'

/** SQL: a moment as JSON has it. */
export const instant = (moment: RawBuilder<unknown>) =>
  sql<string>`to_char(${moment} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`

/** SQL: the metric of version `v` is for a role that the reader has. */
export function isVisibleToRole({ role }: Principal) {
  const roles = Role.options.filter((needed) => hasRole(role, needed))
  return sql<boolean>`coalesce(v.definition ->> 'role', 'viewer') = any (${roles}::text[])`
}

/** The columns of a run, or of an update, that say which companies and warehouses it is about; null is all of them. */
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

/** SQL: the run `r` is about companies and warehouses of which the reader may see some. */
export const runOverlapsReader = overlapsReader(RUN)

/** SQL: what came while the run `r` was with its runner, for the run that follows, is about such. */
export const nextOverlapsReader = sql<boolean>`(r.next_days is not null and ${overlapsReader(NEXT)})`

/** SQL: the update `u` is about companies and warehouses of which the reader may see some. */
export const updateOverlapsReader = overlapsReader(UPDATE)

/** SQL: the datasets of metric `r.metric_id`; a retired metric has none. */
const DATASETS_OF_RUN = sql`metric_dependencies n join datasets o on o.id = n.dataset_id
  join dataset_versions x on x.dataset_id = o.id and x.version = o.current_version where n.metric_id = r.metric_id`

/** SQL: rows of all datasets of the metric of run `r` are without company, or warehouse. */
const runHasNo = (place: 'company' | 'warehouse') => sql`(exists (select from ${DATASETS_OF_RUN})
  and not exists (select from ${DATASETS_OF_RUN} and x.definition -> 'scope' ->> ${place} is not null))`

/** SQL: rows of the dataset of update `u` are without company, or warehouse. */
const updateHasNo = (place: 'company' | 'warehouse') => sql`exists (select from datasets o
  join dataset_versions x on x.dataset_id = o.id and x.version = o.current_version
  where o.id = u.dataset_id and x.definition -> 'scope' ->> ${place} is null)`

const withinReader = (scope: Scope, hasNo: typeof runHasNo) => sql<boolean>`
  ((reader_companies() is null or coalesce(${sql.ref(scope.companies)} <@ reader_companies(), false) or ${hasNo('company')})
  and (reader_warehouses() is null or coalesce(${sql.ref(scope.warehouses)} <@ reader_warehouses(), false)
    or ${hasNo('warehouse')}))`

/**
 * SQL: the reader may see all that the run `r` is about. Only then are its days and figures shown, because they are not
 * known by company.
 */
export const runWithinReader = withinReader(RUN, runHasNo)

/** SQL: the same for the changes that the run after `r` will compute. */
export const nextWithinReader = withinReader(NEXT, runHasNo)

/** SQL: the reader may see all that the update `u` is about. */
export const updateWithinReader = withinReader(UPDATE, updateHasNo)

/** Replaces the text of an error that may mention other companies. */
const HIDDEN_ERROR_DETAIL =
  'The run is also about companies or warehouses that you may not see, so its error is not shown.'

/** SQL: the error of run `r` as the reader may see it: only its code unless the whole run is theirs, and only their own job. */
export const visibleError = sql<unknown>`case when r.error is null or not ${runOverlapsReader} then null
  when not ${runWithinReader} then jsonb_build_object('code', r.error -> 'code', 'detail', ${HIDDEN_ERROR_DETAIL}::text)
  when exists (select from jobs j where j.id::text = r.error ->> 'job') then r.error else r.error - 'job' end`

/** SQL: of the companies of the run `r` (or its warehouses) those that the reader may see; null for all. */
export function visibleScope(name: 'companies' | 'warehouses') {
  const own = sql.ref(`r.${name}`)
  const reader = name === 'companies' ? sql`reader_companies()` : sql`reader_warehouses()`
  return sql<string[] | null>`case when ${own} is null or ${reader} is null then ${own}
    else array(select s from unnest(${own}) s where s = any (${reader}) order by s) end`
}

/**
 * SQL: when the change happened for which the run `r` was made; for readers who may not see the whole run, when the first
 * update that they may see happened.
 */
export const visibleOccurredAt = sql<Date>`case when ${runWithinReader} then r.occurred_at
  else coalesce((select min(u.occurred_at) from run_dataset_updates i join dataset_updates u on u.id = i.update_id
    where i.run_id = r.id and ${updateOverlapsReader}), r.created_at) end`

/** SQL: the deadline `p` of a dataset that the run `r` waits for; null for readers who may not see the whole run. */
export const visibleDeadline = sql<string | null>`case when ${runWithinReader}
  then ${instant(sql`(r.occurred_at + p.required_days * interval '24 hours')`)} end`

/** SQL: the datasets that the run `r` waits for, or waited for in vain, and until when each may come. */
export const pendingDatasets = sql<unknown>`(
  select coalesce(json_agg(json_build_object('dataset', w.code, 'until', ${visibleDeadline}) order by w.code), '[]')
  from metric_run_pending_datasets p join datasets w on w.id = p.dataset_id
  where p.run_id = r.id and p.satisfied_by is null and r.status in ('PENDING', 'EXPIRED'))`

/**
 * Have the planner walk an index in its order until the first rows are found. It takes the conditions of row-level
 * security for so rare that it would rather read everything and sort it.
 */
export async function preferIndexOrder(tx: ReadTx): Promise<void> {
  await sql`select set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true),
    set_config('enable_sort', 'off', true)`.execute(tx)
}

/** A moment of a row as JSON has it. */
export function textOf(moment: Date | null): string | null {
  return moment?.toISOString() ?? null
}

/** Parses days from JSON; null where the reader may not see them. */
export function daysOrNull(days: string | null): DayRange[] | null {
  return days === null ? null : fromMultirange(days)
}
