import type { Tx } from '@aduana/db/database'
import { groupBy } from '@aduana/metric-compute/group-by'
import { sql } from 'kysely'
import type { BroughtChange } from './schedule.ts'

interface Row {
  metric_id: string
  run_id: string
  occurred_at: Date
  output_days: string
  companies: string[] | null
  warehouses: string[] | null
}

/**
 * What succeeded runs mean for the metrics that need theirs directly: the days that they have written, for the companies
 * and warehouses of the run. Equal changes of several metrics are one.
 */
export async function changesAbove(tx: Tx, succeededIds: readonly string[]): Promise<BroughtChange[]> {
  if (succeededIds.length === 0) return []
  const rows =
    await sql<Row>`select d.metric_id, r.id as run_id, r.occurred_at, r.output_days::text as output_days,
      r.companies, r.warehouses
    from metric_runs r join metric_dependencies d on d.needs_metric_id = r.metric_id
    where r.id = any (${succeededIds}::uuid[]) and not isempty(r.output_days)
    order by r.occurred_at, r.id`.execute(tx)
  const groups = groupBy(rows.rows, (row) =>
    JSON.stringify([row.occurred_at, row.output_days, row.companies, row.warehouses]),
  )
  return [...groups.values()].flatMap((group) => {
    const [first] = group
    if (!first) return []
    return {
      change: {
        cause: 'metric',
        occurredAt: first.occurred_at,
        days: first.output_days,
        companies: first.companies,
        warehouses: first.warehouses,
        beneath: group.map(({ metric_id, run_id }) => ({ metricId: metric_id, runId: run_id })),
        wait: true,
      },
      metricIds: [...new Set(group.map(({ metric_id }) => metric_id))],
    }
  })
}
