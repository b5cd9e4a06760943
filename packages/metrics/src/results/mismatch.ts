import { toMultirange } from '@aduana/metric-compute/expressions/multirange'
import type pg from 'pg'
import type { AnnouncedResults } from './announce.ts'
import type { ResultPlan } from './plan.ts'

interface Loaded {
  first: string
  after: string
  announced: AnnouncedResults
  plan: ResultPlan
}

/** The cells of a grain, as a SQL condition and in words. */
const CELLS = {
  total: ['company is null and warehouse is null', 'without company and warehouse'],
  company: ['company is not null and warehouse is null', 'with company and without warehouse'],
  warehouse: ['company is not null and warehouse is not null', 'with company and warehouse'],
} as const

/** Returns why loaded results cannot become values of their metric, as a sentence; undefined when they can. */
export async function findMismatch(client: pg.PoolClient, loaded: Loaded): Promise<string | undefined> {
  const { plan, announced } = loaded
  const [cell, form] = CELLS[plan.grain]
  const { rows } = await client.query<Found>(
    `with own as (select date, company, warehouse from metric_result where id >= $1::bigint and id < $2::bigint)
    select (select count(*)::integer from own) as rows,
      (select concat_ws(', ', date, company, warehouse) from own where not (date <@ $3::datemultirange) limit 1) as other_day,
      (select concat_ws(', ', date, company, warehouse) from own where not (${cell}) limit 1) as other_cell,
      (select concat_ws(', ', date, company, warehouse) from own group by date, company, warehouse
        having count(*) > 1 limit 1) as twice`,
    [loaded.first, loaded.after, toMultirange(announced.days)],
  )
  const [found] = rows
  if (!found) throw new Error('an aggregate without a row')
  if (found.other_day !== null) return `${found.other_day} is on a day that the run did not announce.`
  if (found.other_cell !== null)
    return `${found.other_cell} does not have the grain ${plan.grain} of ${plan.metric}: its values are ${form}.`
  if (found.twice !== null) return `${found.twice} has more than one value.`
  if (found.rows !== announced.rowCount)
    return `Only ${found.rows} of ${announced.rowCount} values were loaded, because some occur more than once.`
  return undefined
}

interface Found {
  rows: number
  other_day: string | null
  other_cell: string | null
  twice: string | null
}
