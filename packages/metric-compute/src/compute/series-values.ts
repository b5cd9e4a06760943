import { compileConditions, fieldOf } from './conditions.ts'
import type { ScanContext } from './gathering.ts'
import { groupColumns, inCell } from './leaf.ts'
import { combination, holdingTable, numberFilters, pivot, resultsOf } from './long.ts'
import type { AggregateRequest } from './plan.ts'

/**
 * Up to this many conditions are tested on each row as it is read. For more, rows are stored with their key
 * combination.
 */
const MAX_INLINE_FILTERS = 4

/**
 * Computes distinct counts or percentiles of one series, which need its values: in one scan for all conditions and
 * percentiles.
 */
export async function aggregateValues(
  gathering: ScanContext,
  op: 'distinct' | 'percentile',
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
  const all = `select ${columns.join(', ')} from ${rows.table}${conditions.joins} where ${rows.condition} and ${field} is not null`
  const grains = (['total', 'company', 'warehouse'] as const).filter((grain) =>
    requests.some((request) => request.grains.has(grain)),
  )
  let source = `(${all}) r cross join lateral ${filters.holding}`
  if (grains.length > 1 || filters.count > MAX_INLINE_FILTERS) {
    const once = op === 'distinct' ? ` group by ${columns.map((_, index) => index + 1).join(', ')}` : ''
    const table = await session.materialize(
      `select *, ${combination(conditions.keys)} as combination from (${all}${once}) r`,
      ['day', 'company', 'warehouse', 'combination', 'x'],
    )
    source = `${table} join ${await holdingTable(session, table, conditions.keys, filters)} using (combination)`
  }
  for (const grain of grains) {
    const its = requests.filter((request) => request.grains.has(grain))
    const by = groupColumns(grain)
    const results = resultsOf(its, filters.numberOf)
    const found = `${source} where ${inCell(grain)} group by ${by}, f`
    const query =
      op === 'distinct'
        ? `select ${by}, f, count(*) as d from (select ${by}, f, x from ${found}, x) v group by ${by}, f`
        : `select ${[by, 'f', ...results.sql].join(', ')}
          from (select ${by}, f, array_agg(x order by x) as a, count(*) as n from ${found}) sorted`
    const long = await session.materialize(query, [...by.split(', '), 'f'])
    await pivot(session, long, grain, results.columns, gathering)
  }
}
