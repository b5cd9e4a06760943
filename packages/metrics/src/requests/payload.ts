import { MetricDefinition } from '@aduana/contracts/metrics/definition'
import type { MetricRunRequest } from '@aduana/contracts/metrics/events'
import type { Database, Tx } from '@aduana/db/database'
import { fromMultirange } from '@aduana/metric-compute/expressions/multirange'
import { groupBy } from '@aduana/metric-compute/group-by'
import { sql } from 'kysely'
import { readSeriesPlaces } from '../registry/series-places.ts'
import { catalogueOf } from '../runs/catalogue.ts'

interface Row {
  id: string
  attempt: number
  metric_version: number
  as_of: string
  days: string
  companies: string[] | null
  warehouses: string[] | null
  definition: unknown
}

interface InputRow {
  run_id: string
  update_id: string
  dataset: string
  event_key: string
  occurred_at: Date
  days: string
}

/**
 * What is asked of the runners of some runs, as these stand now, in the order of the metrics' codes. A runner of ours
 * reads it after it has said that it begins: from then on nothing is added to the run.
 */
export async function readRunRequests(
  db: Database | Tx,
  runIds: readonly string[],
): Promise<MetricRunRequest[]> {
  const runs =
    await sql<Row>`select r.id, r.attempt, r.metric_version, r.as_of, r.days::text as days, r.companies,
      r.warehouses, v.definition
    from metric_runs r join metric_versions v on v.metric_id = r.metric_id and v.version = r.metric_version
      join metrics m on m.id = r.metric_id
    where r.id = any (${runIds}::uuid[]) order by m.code, r.as_of`.execute(db)
  const inputs = groupBy(await readInputs(db, runIds), ({ run_id }) => run_id)
  const places = await readSeriesPlaces(db)
  return runs.rows.map((run) => requestOf(run, inputs.get(run.id) ?? [], places))
}

async function readInputs(db: Database | Tx, runIds: readonly string[]): Promise<InputRow[]> {
  const rows =
    await sql<InputRow>`select i.run_id, i.update_id, d.code as dataset, u.event_key, u.occurred_at,
      u.days::text as days
    from run_dataset_updates i join dataset_updates u on u.id = i.update_id join datasets d on d.id = u.dataset_id
    where i.run_id = any (${runIds}::uuid[]) and not i.for_next
    order by u.occurred_at, u.id`.execute(db)
  return rows.rows
}

function requestOf(
  run: Row,
  inputs: readonly InputRow[],
  places: Awaited<ReturnType<typeof readSeriesPlaces>>,
): MetricRunRequest {
  const definition = MetricDefinition.parse(run.definition)
  return {
    runId: run.id,
    attempt: run.attempt,
    metric: definition.code,
    version: run.metric_version,
    runner: definition.runner,
    asOf: run.as_of,
    days: fromMultirange(run.days),
    ...(run.companies ? { companies: run.companies } : {}),
    ...(run.warehouses ? { warehouses: run.warehouses } : {}),
    inputs: inputs.map((input) => ({
      dataset: input.dataset,
      updateId: input.update_id,
      eventKey: input.event_key,
      occurredAt: input.occurred_at.toISOString(),
      days: fromMultirange(input.days),
    })),
    catalogue: catalogueOf(definition.expression, places),
    grain: definition.grain,
    expression: definition.expression,
    heartbeatSeconds: definition.heartbeatSeconds,
  }
}
