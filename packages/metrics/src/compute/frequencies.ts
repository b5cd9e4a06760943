import { compileConditions, fieldOf } from './conditions.ts'
import { gatheredBy, inCell, leafKey, piecesOf } from './leaf.ts'
import type { AggregateRequest } from './plan.ts'
import type { Gathering } from './scan.ts'
import { DECIMALS, numeric } from './sql-text.ts'

const MOST_COLUMNS = 200

/** With so few conditions, and for one grain, each is counted at once: gathering by keys first would cost more. */
const FEW_FILTERS = 20

/**
 * Compute distinct counts and percentiles of one series: how often each value occurs is gathered from the rows in one
 * scan; all conditions and percentiles are then read off these frequencies.
 */
export async function gatherFrequencies(
  { session, rows, places, members, leaves, presence }: Gathering,
  requests: readonly AggregateRequest[],
): Promise<void> {
  const [first] = requests
  if (!first) return
  const conditions = compileConditions(
    requests.map(({ where }) => where),
    places,
    members,
  )
  const field = fieldOf(first.series)
  const columns = [
    ...Object.entries(rows.cells).map(([name, sql]) => `${sql} as ${name}`),
    ...conditions.keys.map(({ name, sql }) => `${sql} as ${name}`),
    `${field} as x`,
  ]
  const source = `from ${rows.table} where ${rows.condition} and ${field} is not null`
  const pieces = (['total', 'company', 'warehouse'] as const).flatMap((grain) =>
    piecesOf(
      requests.filter(({ grains }) => grains.has(grain)),
      MOST_COLUMNS,
    ).map((piece) => ({ grain, piece, filters: piece.map(({ where }) => conditions.sql(where)) })),
  )
  const atOnce = pieces.length === 1 && pieces.every(({ filters }) => new Set(filters).size <= FEW_FILTERS)
  const numbers = columns.map((_, index) => index + 1).join(', ')
  const frequencies = atOnce
    ? { name: `(select ${columns.join(', ')} ${source}) rows`, count: 'count(*)' }
    : {
        name: await session.keep(
          `select ${columns.join(', ')}, count(*) as n ${source} group by ${numbers}`,
          ['day', 'company', 'warehouse', 'x'],
        ),
        count: 'sum(n)',
      }
  for (const { grain, piece, filters } of pieces) {
    const by = gatheredBy(grain)
    const name = await session.keep(readOff(frequencies, by, inCell(grain), piece, filters), by.split(', '))
    for (const [index, request] of piece.entries())
      leaves.set(leafKey(grain, request.key), {
        table: { name, grain },
        column: `c${index}`,
        presence: presence.get(grain),
        zero: request.op === 'distinct',
      })
  }
}

function readOff(
  frequencies: { name: string; count: string },
  by: string,
  cells: string,
  requests: readonly AggregateRequest[],
  wheres: readonly string[],
): string {
  const filters = [...new Set(wheres)]
  const at = (index: number) => filters.indexOf(wheres[index] ?? '')
  const counted = filters.map((where, index) => {
    const filter = where === 'true' ? '' : ` filter (where ${where})`
    return `nullif(${frequencies.count}${filter}, 0)::bigint as n${index}`
  })
  const values = `select ${by}, x, ${counted.join(', ')} from ${frequencies.name} where ${cells} group by ${by}, x`
  const ranked = new Set(requests.flatMap(({ op }, index) => (op === 'percentile' ? [at(index)] : [])))
  const positions = [...ranked].map(
    (index) =>
      `, (sum(n${index}) over (partition by ${by} order by x rows unbounded preceding))::bigint as u${index}, (sum(n${index}) over (partition by ${by}))::bigint as t${index}`,
  )
  const selected = requests.map((request, index) =>
    request.op === 'distinct'
      ? `(count(*) filter (where n${at(index)} > 0))::numeric as c${index}`
      : `${percentile(request.percentile ?? 0, at(index))} as c${index}`,
  )
  return `select ${by}, ${selected.join(', ')} from (select *${positions.join('')} from (${values}) counted) placed group by ${by}`
}

/**
 * The value at position p · (n − 1) of the sorted values, between its neighbours where that is no whole number. A value
 * up to which there are u values stands at the positions below u: the lower neighbour is the first with u > p · (n − 1),
 * the upper one the first with u − 1 ≥ p · (n − 1).
 */
function percentile(p: number, index: number): string {
  const share = wholeShare(p)
  const [times, position] = share
    ? [share.of, `${share.part} * (t${index} - 1)`]
    : ['1', `${numeric(p)} * (t${index} - 1)`]
  const low = `min(x) filter (where u${index} * ${times} > ${position})`
  const high = `min(x) filter (where (u${index} - 1) * ${times} >= ${position})`
  const place = `${numeric(p)} * (max(t${index}) - 1)`
  return `round(${low} + (${place} - floor(${place})) * (${high} - ${low}), ${DECIMALS})`
}

/** A share as a quotient of whole numbers, which are compared much faster; undefined when it has too many decimals. */
function wholeShare(p: number): { part: string; of: string } | undefined {
  for (const of of [1, 10, 100, 1000, 10_000])
    if (Number(`${Math.round(p * of)}`) / of === p)
      return { part: `${Math.round(p * of)}::bigint`, of: `${of}::bigint` }
  return undefined
}
