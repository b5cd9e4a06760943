import { compileConditions, fieldOf } from './conditions.ts'
import { gatheredBy, inCell } from './leaf.ts'
import { combination, holdingTable, numberFilters, spread } from './long.ts'
import type { AggregateRequest } from './plan.ts'
import type { Gathering } from './scan.ts'
import { DECIMALS, numeric } from './sql-text.ts'

/** With so few conditions, and for one grain, each row is counted for each: gathering first would cost more. */
const FEW_FILTERS = 4

/**
 * Compute distinct counts and percentiles of one series: how often each value occurs is gathered from the rows in one
 * scan; all conditions and percentiles are then read off these frequencies.
 */
export async function gatherFrequencies(
  gathering: Gathering,
  requests: readonly AggregateRequest[],
): Promise<void> {
  const { session, rows } = gathering
  const [first] = requests
  if (!first) return
  const conditions = compileConditions(
    requests.map(({ where }) => where),
    gathering.places,
    gathering.members,
  )
  const filters = numberFilters(requests, conditions)
  const field = fieldOf(first.series)
  const columns = [
    ...Object.entries(rows.cells).map(([name, sql]) => `${sql} as ${name}`),
    ...conditions.keys.map(({ name, sql }) => `${sql} as ${name}`),
    `${field} as x`,
  ]
  const source = `select ${columns.join(', ')}`
  const where = `from ${rows.table} where ${rows.condition} and ${field} is not null`
  const grains = (['total', 'company', 'warehouse'] as const).filter((grain) =>
    requests.some((request) => request.grains.has(grain)),
  )
  const numbers = columns.map((_, index) => index + 1).join(', ')
  const counted =
    grains.length === 1 && filters.count <= FEW_FILTERS
      ? { from: `(${source} ${where}) r cross join lateral ${filters.values}`, holds: 'holds', n: 'count(*)' }
      : await gatherFirst(
          gathering,
          `${source}, count(*) as n ${where} group by ${numbers}`,
          conditions.keys,
          filters,
        )
  for (const grain of grains) {
    const its = requests.filter((request) => request.grains.has(grain))
    const by = gatheredBy(grain)
    const values = `select ${by}, f, x, ${counted.n}::bigint as n from ${counted.from} where ${counted.holds} and ${inCell(grain)} group by ${by}, f, x`
    const shares = [...new Set(its.flatMap(({ percentile }) => percentile ?? []))]
    const long = await session.keep(readOff(values, by, shares), [...by.split(', '), 'f'])
    const longColumns = its.map((request) => ({
      request,
      column: request.percentile === undefined ? 'd' : `p${shares.indexOf(request.percentile)}`,
      f: filters.numberOf(request),
    }))
    await spread(session, long, grain, longColumns, gathering)
  }
}

async function gatherFirst(
  { session }: Gathering,
  query: string,
  keys: Parameters<typeof combination>[0],
  filters: Parameters<typeof holdingTable>[3],
): Promise<{ from: string; holds: string; n: string }> {
  const table = await session.keep(`select *, ${combination(keys)} as combination from (${query}) r`, [
    'day',
    'company',
    'warehouse',
    'combination',
    'x',
  ])
  const holding = await holdingTable(session, table, keys, filters)
  return { from: `${table} join ${holding} using (combination)`, holds: 'true', n: 'sum(n)' }
}

/** From how often each value `x` occurs: how many there are, `d`, and the percentiles of some shares, `p0`, `p1` … */
function readOff(values: string, by: string, shares: readonly number[]): string {
  if (shares.length === 0) return `select ${by}, f, count(*) as d from (${values}) counted group by ${by}, f`
  const placed = `select *, (sum(n) over (partition by ${by}, f order by x rows unbounded preceding))::bigint as u,
    (sum(n) over (partition by ${by}, f))::bigint as t from (${values}) counted`
  const percentiles = shares.map((share, index) => `, ${percentile(share)} as p${index}`)
  return `select ${by}, f, count(*) as d${percentiles.join('')} from (${placed}) placed group by ${by}, f`
}

/**
 * The value at position p · (n − 1) of the sorted values, between its neighbours where that is no whole number. A value
 * up to which there are u values stands at the positions below u: the lower neighbour is the first with u > p · (n − 1),
 * the upper one the first with u − 1 ≥ p · (n − 1).
 */
function percentile(p: number): string {
  const share = wholeShare(p)
  const [times, position] = share
    ? [share.of, `${share.part} * (t - 1)`]
    : ['1::bigint', `${numeric(p)} * (t - 1)`]
  const low = `min(x) filter (where u * ${times} > ${position})`
  const high = `min(x) filter (where (u - 1) * ${times} >= ${position})`
  const place = `${numeric(p)} * (max(t) - 1)`
  return `round(${low} + (${place} - floor(${place})) * (${high} - ${low}), ${DECIMALS})`
}

/** A share as a quotient of whole numbers, which are compared much faster; undefined when it has too many decimals. */
function wholeShare(p: number): { part: string; of: string } | undefined {
  for (const of of [1, 10, 100, 1000, 10_000])
    if (Math.round(p * of) / of === p) return { part: `${Math.round(p * of)}::bigint`, of: `${of}::bigint` }
  return undefined
}
