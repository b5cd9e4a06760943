import type { Grain } from '@aduana/contracts/metrics/definition'
import type { Conditions } from './conditions.ts'
import { chunksOf, groupColumns, type LeafTable, type Leaves, leafKey } from './leaf.ts'
import type { AggregateRequest } from './plan.ts'
import type { Session } from './session.ts'
import { DECIMALS, numeric } from './sql-text.ts'

/** Maximum columns of one leaf table. Each row of the long table is evaluated for each of them. */
const MAX_COLUMNS = 150

/** Numbered conditions; the numbers are in a column `f`. */
export interface Filters {
  /** Returns the number of a request's condition. */
  numberOf(request: AggregateRequest): number
  /** SQL of a lateral table `v (f)` over the key columns with the conditions that hold. */
  holding: string
  count: number
}

/** Numbers the distinct conditions of requests. */
export function numberFilters(requests: readonly AggregateRequest[], conditions: Conditions): Filters {
  const texts = [...new Set(requests.map(({ where }) => conditions.sql(where)))]
  const numbers = new Map(texts.map((text, index) => [text, index]))
  return {
    numberOf: ({ where }) => numbers.get(conditions.sql(where)) ?? -1,
    // With VALUES, every condition would be evaluated again for every row.
    holding: `unnest(array_remove(array[${texts.map((text, index) => `case when ${text} then ${index} end`).join(', ')}], null)) v (f)`,
    count: texts.length,
  }
}

/** Returns SQL for a text that identifies a combination of keys, including nulls. */
export function combination(keys: Conditions['keys']): string {
  return keys.length === 0
    ? `''`
    : `concat_ws(',', ${keys.map(({ name }) => `coalesce(quote_literal(${name}::text), '')`).join(', ')})`
}

/**
 * Creates a table `combination, f` of the conditions that hold for each combination of keys in a grouped table.
 * Returns its name.
 */
export function holdingTable(
  session: Session,
  table: string,
  keys: Conditions['keys'],
  filters: Filters,
): Promise<string> {
  const names = ['combination', ...keys.map(({ name }) => name)].join(', ')
  return session.materialize(
    `select combination, f from (select ${names} from ${table} group by ${names}) k cross join lateral ${filters.holding}`,
  )
}

/** An aggregate in a long table `day, cell, f, …`: its column, and the number of its condition. */
export interface LongColumn {
  request: AggregateRequest
  column: string
  f: number
}

/** Pivots a long table into leaf tables with one row per day and cell, and one column per aggregate. */
export async function pivot(
  session: Session,
  table: string,
  grain: Grain,
  columns: readonly LongColumn[],
  into: { presence: ReadonlyMap<string, LeafTable>; leaves: Leaves },
): Promise<void> {
  const by = groupColumns(grain)
  for (const piece of chunksOf(
    columns.toSorted((a, b) => a.f - b.f),
    MAX_COLUMNS,
  )) {
    const selected = piece.map(({ request, column, f }, index) => {
      const value = `max(${column}) filter (where f = ${f})`
      const single = request.op === 'first' || request.op === 'last' ? `(${value})[3]` : `(${value})::numeric`
      return `${single} as c${index}`
    })
    const [from, to] = [piece[0]?.f ?? 0, piece.at(-1)?.f ?? 0]
    const name = await session.materialize(
      `select ${[by, ...selected].join(', ')} from ${table} where f between ${from} and ${to} group by ${by}`,
      by.split(', '),
    )
    for (const [index, { request }] of piece.entries())
      into.leaves.set(leafKey(grain, request.key), {
        table: { name, grain },
        column: `c${index}`,
        presence: into.presence.get(grain),
        zero: request.op === 'count' || request.op === 'distinct',
      })
  }
}

/**
 * Returns SQL for result columns over grouped values, and the result column of each request. The SQL uses the count
 * `d` of distinct values, or the sorted values `a` and their number `n`.
 */
export function resultsOf(
  requests: readonly AggregateRequest[],
  numberOf: Filters['numberOf'],
): { sql: string[]; columns: LongColumn[] } {
  const shares = [...new Set(requests.flatMap(({ percentile }) => percentile ?? []))]
  return {
    sql: shares.length === 0 ? ['d'] : shares.map((share, index) => `${percentileOf(share)} as p${index}`),
    columns: requests.map((request) => ({
      request,
      column: request.percentile === undefined ? 'd' : `p${shares.indexOf(request.percentile)}`,
      f: numberOf(request),
    })),
  }
}

/**
 * Returns SQL for a percentile: the value at position p · (n − 1) of the sorted values, interpolated between
 * neighbours.
 */
function percentileOf(p: number): string {
  const position = `${numeric(p)} * (n - 1)`
  // The difference of two integers may overflow their type.
  const at = (rounded: 'floor' | 'ceil') => `a[1 + ${rounded}(${position})::integer]::numeric`
  const [low, high] = [at('floor'), at('ceil')]
  return `round(${low} + (${position} - floor(${position})) * (${high} - ${low}), ${DECIMALS})`
}
