import type { SeriesPlaces } from '../series-place.ts'
import { compileConditions, fieldOf, readMembers } from './conditions.ts'
import { gatheredBy, inCell, type LeafTable, type Leaves, leafKey, piecesOf } from './leaf.ts'
import type { AggregateRequest } from './plan.ts'
import type { Rows } from './rows.ts'
import type { Session } from './session.ts'
import { DECIMALS, numeric } from './sql-text.ts'

const MOST_COLUMNS = 200

/**
 * Compute the distinct counts and percentiles of one series: how often each value occurs is gathered from the rows in one
 * scan; all conditions and percentiles are then read off these frequencies.
 */
export async function gatherFrequencies(
  session: Session,
  rows: Rows,
  requests: readonly AggregateRequest[],
  places: SeriesPlaces,
  into: { presence: ReadonlyMap<string, LeafTable>; leaves: Leaves },
): Promise<void> {
  const [first] = requests
  if (!first) return
  const wheres = requests.map(({ where }) => where)
  const conditions = compileConditions(wheres, places, await readMembers(session.client, wheres, places))
  const field = fieldOf(first.series)
  const columns = [
    ...Object.entries(rows.cells).map(([name, sql]) => `${sql} as ${name}`),
    ...conditions.keys.map(({ name, sql }) => `${sql} as ${name}`),
    `${field} as x`,
  ]
  const table = await session.keep(
    `select ${columns.join(', ')}, count(*) as n from ${rows.table} where ${rows.condition} and ${field} is not null group by ${columns.map((_, index) => index + 1).join(', ')}`,
  )
  for (const grain of ['total', 'company', 'warehouse'] as const)
    for (const piece of piecesOf(
      requests.filter(({ grains }) => grains.has(grain)),
      MOST_COLUMNS,
    )) {
      const filters = piece.map(({ where }) => conditions.sql(where))
      const name = await session.keep(readOff(table, gatheredBy(grain), inCell(grain), piece, filters))
      for (const [index, request] of piece.entries())
        into.leaves.set(leafKey(grain, request.key), {
          table: { name, grain },
          column: `c${index}`,
          presence: into.presence.get(grain),
          zero: request.op === 'distinct',
        })
    }
}

function readOff(
  table: string,
  by: string,
  cells: string,
  requests: readonly AggregateRequest[],
  wheres: readonly string[],
): string {
  const filters = [...new Set(wheres)]
  const at = (index: number) => filters.indexOf(wheres[index] ?? '')
  const counted = filters.map((where, index) => `sum(n) filter (where ${where}) as n${index}`)
  const values = `select ${by}, x, ${counted.join(', ')} from ${table} where ${cells} group by ${by}, x`
  const ranked = new Set(requests.flatMap(({ op }, index) => (op === 'percentile' ? [at(index)] : [])))
  const positions = [...ranked].map(
    (index) =>
      `, sum(n${index}) over (partition by ${by} order by x rows unbounded preceding) as u${index}, sum(n${index}) over (partition by ${by}) as t${index}`,
  )
  const selected = requests.map((request, index) =>
    request.op === 'distinct'
      ? `(count(*) filter (where n${at(index)} > 0))::numeric as c${index}`
      : `${percentile(request.percentile ?? 0, at(index))} as c${index}`,
  )
  return `select ${by}, ${selected.join(', ')} from (select *${positions.join('')} from (${values}) counted) placed group by ${by}`
}

/** The value at position p · (n − 1) of the sorted values, between its neighbours where that is no whole number. */
function percentile(p: number, index: number): string {
  const position = (count: string) => `${numeric(p)} * (${count} - 1)`
  const row = position(`t${index}`)
  const whole = position(`max(t${index})`)
  const low = `min(x) filter (where u${index} > floor(${row}))`
  const high = `min(x) filter (where u${index} > ceil(${row}))`
  return `round(${low} + (${whole} - floor(${whole})) * (${high} - ${low}), ${DECIMALS})`
}
