import { hasRole, type Principal, Role } from '@aduana/contracts/identity'
import { AwaitedDataset } from '@aduana/contracts/metrics/http-runs'
import type { ReadTx } from '@aduana/db/database'
import { type RawBuilder, sql } from 'kysely'
import { z } from 'zod'

/** SQL: a moment as JSON has it. */
export const instant = (moment: RawBuilder<unknown>) =>
  sql<string>`to_char(${moment} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`

/** SQL: the metric of version `v` is for a role that the reader has. */
export function isForRole({ role }: Principal) {
  const roles = Role.options.filter((needed) => hasRole(role, needed))
  return sql<boolean>`coalesce(v.definition ->> 'role', 'viewer') = any (${roles}::text[])`
}

const ofReader = (companies: string, warehouses: string) => {
  const [some, places] = [sql.ref(`r.${companies}`), sql.ref(`r.${warehouses}`)]
  return sql<boolean>`
    (reader_companies() is null or ${some} is null or ${some} && reader_companies())
    and (reader_warehouses() is null or ${places} is null or ${places} && reader_warehouses())`
}

/** SQL: the run, or update, `r` is about companies and warehouses of which the reader may see some. */
export const isOfReader = ofReader('companies', 'warehouses')

/** SQL: what came while the run `r` was with its runner, for the run that follows, is about such. */
export const isNextOfReader = sql<boolean>`
  (r.next_days is not null and ${ofReader('next_companies', 'next_warehouses')})`

/** SQL: of the companies of the run `r` (or its warehouses) those that the reader may see; null for all. */
export function seen(name: 'companies' | 'warehouses') {
  const own = sql.ref(`r.${name}`)
  const reader = name === 'companies' ? sql`reader_companies()` : sql`reader_warehouses()`
  return sql<string[] | null>`case when ${own} is null or ${reader} is null then ${own}
    else array(select s from unnest(${own}) s where s = any (${reader}) order by s) end`
}

/** SQL: the datasets that the run `r` waits for, or waited for in vain, and until when each may come. */
export const awaited = sql<unknown>`(
  select coalesce(json_agg(json_build_object('dataset', w.code, 'until',
    ${instant(sql`(r.occurred_at + p.required_days * interval '24 hours')`)}) order by w.code), '[]')
  from metric_run_pending_datasets p join datasets w on w.id = p.dataset_id
  where p.run_id = r.id and p.satisfied_by is null and r.status in ('PENDING', 'EXPIRED'))`

/**
 * Have the planner walk an index in its order until the first rows are found. It takes the conditions of row-level
 * security for so rare that it would rather read everything and sort it.
 */
export async function takeTheFirstOfAnIndex(tx: ReadTx): Promise<void> {
  await sql`select set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true),
    set_config('enable_sort', 'off', true)`.execute(tx)
}

/** What `awaited` answers. */
export const Awaited = z.array(AwaitedDataset)

/** A moment of a row as JSON has it. */
export function textOf(moment: Date | null): string | null {
  return moment?.toISOString() ?? null
}
