import { columnOf } from '../expressions/series-kind.ts'
import type { SeriesPlaces } from '../series-place.ts'
import { compileConditions, fieldOf, readMembers } from './conditions.ts'
import { gatherFrequencies } from './frequencies.ts'
import { groupBy } from './group-by.ts'
import { gatheredBy, inCell, type LeafTable, type Leaves, leafKey, piecesOf } from './leaf.ts'
import type { AggregateRequest } from './plan.ts'
import { orderOf, type Restriction, type Rows, rowsOf } from './rows.ts'
import type { ScanGroup } from './scan-groups.ts'
import type { Session } from './session.ts'

/** PostgreSQL allows 1,664 columns in a result; fewer keep the memory of one group small. */
const MOST_COLUMNS = 400

const FINENESS = ['total', 'company', 'warehouse'] as const

/**
 * Compute the aggregates of a group. Its rows are read once: gathered by day, cell and what the conditions tell apart,
 * into few rows from which every aggregate of every grain is then made. Distinct and percentile need the values
 * themselves: one more scan for each series of which they are asked.
 */
export async function computeGroup(
  session: Session,
  group: ScanGroup,
  places: SeriesPlaces,
  restriction: Restriction,
  leaves: Leaves,
): Promise<void> {
  const finest =
    FINENESS.findLast((grain) => group.requests.some(({ grains }) => grains.has(grain))) ?? 'total'
  const rows = rowsOf(group.definition, group.days, finest, restriction)
  const ofValues = group.requests.filter(({ op }) => op === 'distinct' || op === 'percentile')
  const ofRows = group.requests.filter(({ op }) => op !== 'distinct' && op !== 'percentile')
  const presence = await gatherRows(session, rows, ofRows, group, places, leaves)
  for (const its of groupBy(ofValues, ({ series }) => series.code).values())
    await gatherFrequencies(session, rows, its, places, { presence, leaves })
}

/** The first gathering, then a leaf table for each grain that is asked for; those that tell which days have rows. */
async function gatherRows(
  session: Session,
  rows: Rows,
  requests: readonly AggregateRequest[],
  group: ScanGroup,
  places: SeriesPlaces,
  leaves: Leaves,
): Promise<Map<string, LeafTable>> {
  const wheres = requests.map(({ where }) => where)
  const conditions = compileConditions(wheres, places, await readMembers(session.client, wheres, places))
  const gathered = new Map<string, string>()
  const parts = requests.map((request) => ({ request, ...partOf(request, gathered) }))
  const columns = [
    ...Object.entries(rows.cells).map(([name, sql]) => `${sql} as ${name}`),
    ...conditions.keys.map(({ name, sql }) => `${sql} as ${name}`),
    ...[...gathered].map(([sql, name]) => `${sql} as ${name}`),
  ]
  const keys = Array.from({ length: 3 + conditions.keys.length }, (_, index) => index + 1)
  const table = await session.keep(
    `select ${columns.join(', ')} from ${rows.table} where ${rows.condition} group by ${keys.join(', ')}`,
  )
  const presence = new Map<string, LeafTable>()
  for (const grain of FINENESS) {
    if (!group.requests.some(({ grains }) => grains.has(grain))) continue
    const its = parts.filter(({ request }) => request.grains.has(grain))
    for (const piece of its.length === 0 ? [[]] : piecesOf(its, MOST_COLUMNS)) {
      const filters = new Map<string, string>()
      const selected = piece.map(({ request, again }, index) => {
        const where = conditions.sql(request.where)
        return `${again(where === 'true' ? '' : ` filter (where ${nameOf(filters, where)})`)} as c${index}`
      })
      const from = `(select *${[...filters].map(([sql, name]) => `, ${sql} as ${name}`).join('')} from ${table} where ${inCell(grain)} offset 0) gathered`
      const by = gatheredBy(grain)
      const name = await session.keep(`select ${[by, ...selected].join(', ')} from ${from} group by ${by}`)
      const leafTable = { name, grain }
      if (!presence.has(grain)) presence.set(grain, leafTable)
      for (const [index, { request }] of piece.entries())
        leaves.set(leafKey(grain, request.key), {
          table: leafTable,
          column: `c${index}`,
          presence: presence.get(grain),
          zero: request.op === 'count',
        })
    }
  }
  return presence
}

function nameOf(filters: Map<string, string>, sql: string): string {
  const name = filters.get(sql) ?? `w${filters.size}`
  filters.set(sql, name)
  return name
}

/** What is gathered of the rows for an aggregate, and how the aggregate is made of that, given a filter clause. */
function partOf(
  request: AggregateRequest,
  gathered: Map<string, string>,
): { again: (filter: string) => string } {
  const gather = (sql: string): string => {
    const name = gathered.get(sql) ?? `g${gathered.size}`
    gathered.set(sql, name)
    return name
  }
  const { op, series } = request
  if (op === 'count') {
    const always = series.column === null || columnOf(series)?.required === true
    const part = gather(always ? 'count(*)' : `count(${fieldOf(series)})`)
    return { again: (filter) => `(sum(${part})${filter})::numeric` }
  }
  if (op === 'first' || op === 'last') {
    const [field, order] = [fieldOf(series), orderOf(request.by ?? dayOf(series))]
    const end = op === 'first' ? 'min' : 'max'
    const part = gather(
      `${end}(array[${order}, id::numeric, ${field}::numeric]) filter (where ${field} is not null and ${order} is not null)`,
    )
    return { again: (filter) => `(${end}(${part})${filter})[3]` }
  }
  const part = gather(`${op}(${fieldOf(series)})`)
  return { again: (filter) => `(${op}(${part})${filter})::numeric` }
}

function dayOf(series: AggregateRequest['series']): AggregateRequest['series'] {
  return { ...series, column: series.definition.windowColumn ?? null }
}
