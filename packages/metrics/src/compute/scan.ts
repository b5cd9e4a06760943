import { columnOf } from '../expressions/series-kind.ts'
import type { SeriesPlaces } from '../series-place.ts'
import { compileConditions, fieldOf } from './conditions.ts'
import { familiesOf } from './families.ts'
import { gatherFrequencies } from './frequencies.ts'
import { groupBy } from './group-by.ts'
import { gatheredBy, inCell, type LeafTable, type Leaves, leafKey, piecesOf } from './leaf.ts'
import { type Members, readMembers } from './members.ts'
import type { AggregateRequest } from './plan.ts'
import { orderOf, type Restriction, type Rows, rowsOf } from './rows.ts'
import type { ScanGroup } from './scan-groups.ts'
import type { Session } from './session.ts'

/** PostgreSQL allows 1,664 columns in a result; fewer keep the memory of one group small. */
const MOST_COLUMNS = 400

const FINENESS = ['total', 'company', 'warehouse'] as const

/** What the gatherings of one group of aggregates have in common. */
export interface Gathering {
  session: Session
  rows: Rows
  places: SeriesPlaces
  members: Members
  leaves: Leaves
  /** For each grain the table that tells on which days and cells there are rows: the first that is made. */
  presence: Map<string, LeafTable>
}

/**
 * Compute the aggregates of a group. Rows are read once for all aggregates whose conditions go together: gathered by
 * day, cell and what the conditions tell apart, into few rows of which every aggregate of every grain is then made.
 * Distinct and percentile need the values themselves: one more scan for each series of which they are asked.
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
  const gathering: Gathering = {
    session,
    rows: rowsOf(group.definition, group.days, finest, restriction),
    places,
    members: await readMembers(
      session,
      group.requests.map(({ where }) => where),
      places,
    ),
    leaves,
    presence: new Map(),
  }
  const [ofValues, ofRows] = [true, false].map((values) =>
    group.requests.filter(({ op }) => (op === 'distinct' || op === 'percentile') === values),
  )
  for (const family of familiesOf(ofRows ?? [], places)) await gatherRows(gathering, family, grainsOf(family))
  const missing = [...grainsOf(group.requests)].filter((grain) => !gathering.presence.has(grain))
  if (missing.length > 0) await gatherRows(gathering, [], new Set(missing))
  for (const its of groupBy(ofValues ?? [], ({ series }) => series.code).values())
    for (const family of familiesOf(its, places)) await gatherFrequencies(gathering, family)
}

function grainsOf(requests: readonly AggregateRequest[]): Set<string> {
  return new Set(requests.flatMap(({ grains }) => [...grains]))
}

/** The first gathering, then leaf tables for each grain that is asked for. */
async function gatherRows(
  gathering: Gathering,
  requests: readonly AggregateRequest[],
  grains: ReadonlySet<string>,
): Promise<void> {
  const { session, rows, leaves, presence } = gathering
  const conditions = compileConditions(
    requests.map(({ where }) => where),
    gathering.places,
    gathering.members,
  )
  const gathered = new Map<string, string>()
  const parts = requests.map((request) => ({ request, again: partOf(request, gathered) }))
  const keys = [
    ...Object.entries(rows.cells).map(([name, sql]) => `${sql} as ${name}`),
    ...conditions.keys.map(({ name, sql }) => `${sql} as ${name}`),
  ]
  const columns = [...keys, ...[...gathered].map(([sql, name]) => `${sql} as ${name}`)]
  const table = await session.keep(
    `select ${columns.join(', ')} from ${rows.table} where ${rows.condition} group by ${keys.map((_, index) => index + 1).join(', ')}`,
    ['day', 'company', 'warehouse'],
  )
  for (const grain of FINENESS) {
    if (!grains.has(grain)) continue
    const its = parts.filter(({ request }) => request.grains.has(grain))
    for (const piece of its.length === 0 ? [[]] : piecesOf(its, MOST_COLUMNS)) {
      const filters = new Map<string, string>()
      const selected = piece.map(({ request, again }, index) => {
        const where = conditions.sql(request.where)
        return `${again(where === 'true' ? '' : ` filter (where ${nameOf(filters, where)})`)} as c${index}`
      })
      const told = [...filters].map(([sql, name]) => `, ${sql} as ${name}`).join('')
      const from = `(select *${told} from ${table} where ${inCell(grain)} offset 0) gathered`
      const by = gatheredBy(grain)
      const name = await session.keep(
        `select ${[by, ...selected].join(', ')} from ${from} group by ${by}`,
        by.split(', '),
      )
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
}

function nameOf(filters: Map<string, string>, sql: string): string {
  const name = filters.get(sql) ?? `w${filters.size}`
  filters.set(sql, name)
  return name
}

/** How an aggregate is made, given a filter clause, of what is gathered of the rows for it. */
function partOf(request: AggregateRequest, gathered: Map<string, string>): (filter: string) => string {
  const gather = (sql: string): string => {
    const name = gathered.get(sql) ?? `g${gathered.size}`
    gathered.set(sql, name)
    return name
  }
  const { op, series } = request
  if (op === 'count') {
    const always = series.column === null || columnOf(series)?.required === true
    const part = gather(always ? 'count(*)' : `count(${fieldOf(series)})`)
    return (filter) => `(sum(${part})${filter})::numeric`
  }
  if (op === 'first' || op === 'last') {
    const [field, order] = [fieldOf(series), orderOf(request.by ?? dayOf(series))]
    const end = op === 'first' ? 'min' : 'max'
    const part = gather(
      `${end}(array[${order}, id::numeric, ${field}::numeric]) filter (where ${field} is not null and ${order} is not null)`,
    )
    return (filter) => `(${end}(${part})${filter})[3]`
  }
  const part = gather(`${op}(${fieldOf(series)})`)
  return (filter) => `(${op}(${part})${filter})::numeric`
}

function dayOf(series: AggregateRequest['series']): AggregateRequest['series'] {
  return { ...series, column: series.definition.windowColumn ?? null }
}
