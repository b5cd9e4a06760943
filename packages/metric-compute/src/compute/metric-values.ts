import { lit, literals } from '@aduana/datasets/literals'
import { unionOfDays } from '../expressions/days.ts'
import { chunksOf, groupColumns, type Leaves, leafKey } from './leaf.ts'
import type { ValueRequest } from './plan.ts'
import type { Session } from './session.ts'
import { dateIn } from './sql-text.ts'

const MAX_COLUMNS = 400

/** Whether the values of a metric combine rows of several companies or warehouses. */
export interface Sums {
  companies: boolean
  warehouses: boolean
}

/** Reads the values of other metrics as leaves. Returns what they combine, by metric. */
export async function readValues(
  session: Session,
  requests: readonly ValueRequest[],
  leaves: Leaves,
): Promise<Map<string, Sums>> {
  const sums = new Map<string, Sums>()
  for (const grain of ['total', 'company', 'warehouse'] as const)
    for (const piece of chunksOf(
      requests.filter((request) => request.grain === grain),
      MAX_COLUMNS,
    )) {
      const names = piece.map(({ metric }) => metric)
      const days = unionOfDays(piece.flatMap((request) => request.days))
      const wanted = `metric_name = any (array[${literals(names)}]::text[]) and ${dateIn('date', days)} and (company is not null) = ${grain !== 'total'} and (warehouse is not null) = ${grain === 'warehouse'}`
      const columns = names.map(
        (name, index) => `max(value) filter (where metric_name = ${lit(name)}) as c${index}`,
      )
      const by = groupColumns(grain)
      const name = await session.materialize(
        `select ${[by, ...columns].join(', ')} from (select *, date as day from daily_metrics where ${wanted}) v group by ${by}`,
        by.split(', '),
      )
      for (const [index, metric] of names.entries())
        leaves.set(leafKey(grain, metric), {
          table: { name, grain },
          column: `c${index}`,
          presence: undefined,
          zero: false,
        })
      const flags = await session.run<{ metric: string } & Sums>(
        `select metric_name as metric, bool_or(sums_companies) as companies, bool_or(sums_warehouses) as warehouses from daily_metrics where ${wanted} group by metric_name`,
      )
      for (const { metric, companies, warehouses } of flags.rows) sums.set(metric, { companies, warehouses })
    }
  return sums
}
