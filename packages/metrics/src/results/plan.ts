import type { DayRange } from '@aduana/contracts/dates'
import { MetricDefinition } from '@aduana/contracts/metrics/definition'
import type { Tx } from '@aduana/db/database'
import { type PlannedRun, planRun } from '@aduana/metric-compute/compute/plan'

/** What the results of a run may contain. */
export interface ResultPlan extends PlannedRun {
  metric: string
  /** The day of the change that caused the run. */
  asOf: string
}

/**
 * Returns what a runner may have computed in a run: the days that it reports, and the companies and warehouses that
 * can have changed.
 */
export async function readResultPlan(tx: Tx, runId: string, days: readonly DayRange[]): Promise<ResultPlan> {
  const row = await tx
    .selectFrom('metric_runs as r')
    .innerJoin('metric_versions as v', (join) =>
      join.onRef('v.metric_id', '=', 'r.metric_id').onRef('v.version', '=', 'r.metric_version'),
    )
    .select(['r.as_of', 'r.companies', 'r.warehouses', 'v.definition'])
    .where('r.id', '=', runId)
    .executeTakeFirstOrThrow()
  const { companies, warehouses } = row
  const definition = MetricDefinition.parse(row.definition)
  const planned = planRun({ runId, definition, days, companies, warehouses }, 0)
  return { ...planned, output: [...days], metric: definition.code, asOf: row.as_of }
}
