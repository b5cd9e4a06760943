import { columnOf } from '../expressions/series-kind.ts'
import { groupBy } from '../group-by.ts'
import type { SeriesPlaces } from '../series-place.ts'
import { compileConditions, fieldOf } from './conditions.ts'
import { aggregateByEquality, splitByEquality } from './equalities.ts'
import { familiesOf } from './families.ts'
import type { ScanContext } from './gathering.ts'
import { groupColumns, inCell, type Leaves } from './leaf.ts'
import { combination, holdingTable, numberFilters, pivot } from './long.ts'
import { readMembers } from './members.ts'
import type { AggregateRequest } from './plan.ts'
import { orderOf, type Restriction, rowsOf } from './rows.ts'
import { lengthOf, type ScanGroup } from './scan-groups.ts'
import { aggregateValues } from './series-values.ts'
import type { Session } from './session.ts'

/** Up to this many days, each partition is aggregated by itself. */
const MAX_PARTITIONWISE_DAYS = 200

const FINENESS = ['total', 'company', 'warehouse'] as const

/**
 * Computes the aggregates of a group. Rows are read once for all aggregates whose conditions are compatible: grouped
 * by day, cell and condition keys into few rows, from which every aggregate of every grain follows. Distinct counts
 * and percentiles need the values themselves: one more scan per series.
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
  const gathering: ScanContext = {
    session,
    rows: rowsOf(group.definition, group.days, finest, restriction),
    places,
    members: await readMembers(
      session,
      group.requests.map(({ where }) => where),
      places,
    ),
    leaves,
    grains: new Set(group.requests.flatMap(({ grains }) => [...grains])),
    presence: new Map(),
  }
  // A parallel worker aggregates its partitions completely, including sorted values, which partial results cannot
  // give. It keeps what it sorted until the statement ends, so this is not for years of data.
  const byPartition = lengthOf(group.days) <= MAX_PARTITIONWISE_DAYS
  await session.set({ enable_partitionwise_aggregate: byPartition ? 'on' : 'off' })
  const ofRows = group.requests.filter(({ op }) => op !== 'distinct' && op !== 'percentile')
  const families = familiesOf(ofRows, places)
  for (const family of families.length === 0 ? [[]] : families) await aggregateRows(gathering, family)
  for (const op of ['distinct', 'percentile'] as const) {
    const ofValues = group.requests.filter((request) => request.op === op)
    for (const its of groupBy(ofValues, ({ series }) => series.code).values()) {
      const { equalities, others } = splitByEquality(its)
      for (const family of equalities) await aggregateByEquality(gathering, op, family)
      for (const family of familiesOf(others, places)) await aggregateValues(gathering, op, family)
    }
  }
}

/** Groups the rows, then computes leaf tables for each requested grain. */
async function aggregateRows(gathering: ScanContext, requests: readonly AggregateRequest[]): Promise<void> {
  const { session, rows } = gathering
  const conditions = compileConditions(
    requests.map(({ where }) => where),
    gathering.places,
    gathering.members,
  )
  const gathered = new Map<string, Part>()
  const parts = requests.map((request) => ({ request, part: partOf(request, gathered) }))
  const keys = [
    ...Object.entries(rows.cells).map(([name, sql]) => `${sql} as ${name}`),
    ...conditions.keys.map(({ name, sql }) => `${sql} as ${name}`),
  ]
  const columns = [...keys, ...[...gathered.values()].map(({ sql, name }) => `${sql} as ${name}`)]
  const groups = `select ${columns.join(', ')} from ${rows.table}${conditions.joins} where ${rows.condition} group by ${keys.map((_, index) => index + 1).join(', ')}`
  const table = await session.materialize(
    `select *, ${combination(conditions.keys)} as combination from (${groups}) groups`,
    ['day', 'company', 'warehouse', 'combination'],
  )
  await storePresence(gathering, table)
  if (requests.length === 0) return
  const filters = numberFilters(requests, conditions)
  const holding = await holdingTable(session, table, conditions.keys, filters)
  for (const grain of FINENESS) {
    const its = parts.filter(({ request }) => request.grains.has(grain))
    if (its.length === 0) continue
    const by = groupColumns(grain)
    const merge = [...new Set(its.map(({ part }) => part))]
    const long = await session.materialize(
      `select ${by}, f, ${merge.map(({ name, again: op }) => `${op}(${name}) as ${name}`).join(', ')}
      from ${table} join ${holding} using (combination) where ${inCell(grain)} group by ${by}, f`,
      [...by.split(', '), 'f'],
    )
    const longColumns = its.map(({ request, part }) => ({
      request,
      column: part.name,
      f: filters.numberOf(request),
    }))
    await pivot(session, long, grain, longColumns, gathering)
  }
}

/** Stores on which days and cells there are rows, if that is unknown. */
async function storePresence({ session, presence, grains }: ScanContext, table: string): Promise<void> {
  for (const grain of FINENESS) {
    if (!grains.has(grain) || presence.has(grain)) continue
    const by = groupColumns(grain)
    const name = await session.materialize(
      `select ${by} from ${table} where ${inCell(grain)} group by ${by}`,
      by.split(', '),
    )
    presence.set(grain, { name, grain })
  }
}

/** A partial aggregate over the rows, and the aggregate that merges partial results. */
interface Part {
  sql: string
  name: string
  again: 'sum' | 'min' | 'max'
}

/** Returns the partial aggregate for a request. Requests that differ only by their condition share it. */
function partOf(request: AggregateRequest, gathered: Map<string, Part>): Part {
  const gather = (sql: string, again: Part['again']): Part => {
    const part = gathered.get(sql) ?? { sql, name: `g${gathered.size}`, again }
    gathered.set(sql, part)
    return part
  }
  const { op, series } = request
  if (op === 'count') {
    const always = series.column === null || columnOf(series)?.required === true
    return gather(always ? 'count(*)' : `count(${fieldOf(series)})`, 'sum')
  }
  if (op === 'first' || op === 'last') {
    const [field, order] = [fieldOf(series), orderOf(request.by ?? dayOf(series))]
    const end = op === 'first' ? 'min' : 'max'
    return gather(
      `${end}(array[${order}, id::numeric, ${field}::numeric]) filter (where ${field} is not null and ${order} is not null)`,
      end,
    )
  }
  if (op === 'sum' || op === 'min' || op === 'max') return gather(`${op}(${fieldOf(series)})`, op)
  throw new Error(`"${op}" is not computed from grouped rows`)
}

function dayOf(series: AggregateRequest['series']): AggregateRequest['series'] {
  return { ...series, column: series.definition.windowColumn ?? null }
}
