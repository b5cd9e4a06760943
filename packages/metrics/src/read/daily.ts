import type { Principal } from '@aduana/contracts/identity'
import type { Grain } from '@aduana/contracts/metrics/definition'
import { type Aggregate, DailyMetrics, type DailyMetricsQuery } from '@aduana/contracts/metrics/http'
import { ProblemError } from '@aduana/contracts/problems'
import { type Database, readAs } from '@aduana/db/database'
import { decodeCursor, encodeCursor } from '@aduana/jobs/read/cursor'
import { type RawBuilder, sql } from 'kysely'
import { completenessOf } from './completeness.ts'
import { resolveDateRange, todayIn } from './date-range.ts'
import { findMetric } from './metrics.ts'
import { readRollUp } from './roll-up.ts'
import { CellCursor } from './values.ts'

const SQL: Readonly<Record<Aggregate, RawBuilder<unknown>>> = {
  sum: sql`sum(value)`,
  avg: sql`avg(value)`,
  min: sql`min(value)`,
  max: sql`max(value)`,
  first: sql`(array_agg(value order by date))[1]`,
  last: sql`(array_agg(value order by date desc))[1]`,
}

interface Row {
  date: string
  company: string | null
  warehouse: string | null
  value: string
  days: number
  last_updated: Date
}

/**
 * Returns values of a metric by day, week or month, for charts, as far as `principal` may see them. Longer periods
 * combine daily values as the expression of the metric, or the query, requires.
 * @throws ProblemError `unknown_metric`; `bad_request` for an invalid range or time zone, and where neither the
 * metric nor the query defines how values are combined; `value_too_large` for a value beyond the range of JSON
 * numbers
 */
export function readDailyMetrics(
  db: Database,
  principal: Principal,
  query: DailyMetricsQuery,
  now = new Date(),
): Promise<DailyMetrics> {
  const { from, to } = resolveDateRange(query.date_range, todayIn(query.time_zone, now))
  const after = query.cursor === undefined ? undefined : decodeCursor(CellCursor, query.cursor)
  const { granularity, by } = query
  return readAs(db, principal, async (tx) => {
    const { id, definition } = await findMetric(tx, principal, query.metric)
    const aggregate = chooseAggregate(query, definition.grain, await readRollUp(tx, id, definition))
    const { complete } = await completenessOf(tx, principal, id)
    const { rows } = await sql<Row>`
      select * from (
        select date_trunc(${granularity}, date::timestamp)::date as date,
          ${by === 'total' ? sql`null::varchar` : sql`company`} as company,
          ${by === 'cell' ? sql`warehouse` : sql`null::varchar`} as warehouse,
          (${SQL[aggregate ?? 'max']})::text as value, count(distinct date)::integer as days,
          max(last_updated) as last_updated
        from daily_metrics
        where metric_name = ${query.metric} and date >= ${from}::date and date < ${to}::date
          and (${query.company ?? null}::text is null or company = ${query.company ?? null})
          and (${query.warehouse ?? null}::text is null or warehouse = ${query.warehouse ?? null})
        group by 1, 2, 3
      ) period
      where ${after?.[0] ?? null}::date is null
        or (date, coalesce(company, ''), coalesce(warehouse, ''))
          > (${after?.[0] ?? null}::date, ${after?.[1] ?? ''}, ${after?.[2] ?? ''})
      order by date, coalesce(company, ''), coalesce(warehouse, '') limit ${query.limit + 1}`.execute(tx)
    const shown = rows.slice(0, query.limit)
    const last = shown.at(-1)
    const more = rows.length > query.limit && last !== undefined
    return DailyMetrics.parse({
      ...{ metric: query.metric, unit: definition.unit ?? null, granularity, aggregate, by, from, to },
      complete,
      items: shown.map(({ last_updated, value, ...row }) => ({
        ...row,
        value: asJsonNumber(row.date, value),
        lastUpdated: last_updated.toISOString(),
      })),
      next: more ? encodeCursor([last.date, last.company ?? '', last.warehouse ?? '']) : null,
    })
  })
}

/**
 * Returns a value as a JSON number. Values that Aduana computes fit; another program may have written a larger one.
 */
function asJsonNumber(date: string, text: string): number {
  const value = Number(text)
  if (Number.isFinite(value)) return value
  throw new ProblemError(
    'value_too_large',
    `The value of ${date} is beyond 1.8e308, the limit of JSON numbers. Read it as text under /api/metrics, or choose other days.`,
  )
}

/** Returns how several values are combined; null where a result is always a single value. */
function chooseAggregate(
  { granularity, by, aggregate, metric }: DailyMetricsQuery,
  grain: Grain,
  rollUp: Aggregate | null,
): Aggregate | null {
  const joinsCells = (by === 'total' && grain !== 'total') || (by === 'company' && grain === 'warehouse')
  if (granularity === 'day' && !joinsCells) return null
  const used = aggregate ?? rollUp
  if (used === null)
    throw badRequest(
      'aggregate',
      `The metric "${metric}" has no roll-up, so its daily values are not combined by default. Send aggregate=avg, sum, min, max, first or last.`,
    )
  if (joinsCells && used !== 'sum' && used !== 'min' && used !== 'max')
    throw badRequest(
      'by',
      `"${used}" cannot combine several companies or warehouses. Use by=cell, or aggregate=sum, min or max.`,
    )
  return used
}

function badRequest(field: string, message: string): ProblemError {
  return new ProblemError('bad_request', message, { errors: [{ field, message }] })
}
