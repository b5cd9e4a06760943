import { MetricDefinition } from '@aduana/contracts/metrics/definition'
import { MetricRunRequest } from '@aduana/contracts/metrics/events'
import type { Expression } from '@aduana/contracts/metrics/expression'
import { targetName } from '@aduana/datasets/target'
import type { Database, Tx } from '@aduana/db/database'
import { fromMultirange } from '@aduana/metric-compute/expressions/multirange'
import { referencesOf } from '@aduana/metric-compute/expressions/references'
import { groupBy } from '@aduana/metric-compute/group-by'
import type { SeriesPlace, SeriesPlaces } from '@aduana/metric-compute/series-place'
import type { OutboundEvent } from '@aduana/outbox/destination'
import { sql } from 'kysely'
import { z } from 'zod'
import { readSeriesPlaces } from '../registry/series-places.ts'

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
 * Returns the current requests of runs, ordered by metric code. The built-in runner reads them after it has started a
 * run: from then on nothing is added to it.
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

type Entry = MetricRunRequest['catalogue'][number]

/** Returns the series that an expression uses, and where a runner finds them. */
function catalogueOf(expression: Expression, places: SeriesPlaces): Entry[] {
  const codes = [...new Set(referencesOf(expression).series.map(({ code }) => code))]
  return codes.flatMap((code) => {
    const place = places.get(code)
    return place ? [entryOf(place)] : []
  })
}

function entryOf({ code, definition, column }: SeriesPlace): Entry {
  const source = definition.columns.find(({ name }) => name === column)
  const day = definition.columns.find(({ name }) => name === definition.windowColumn)
  const dimension = source?.type === 'text' ? source.dimension : undefined
  return {
    series: code,
    dataset: definition.code,
    table: `${definition.table.schema}.${definition.table.name}`,
    column: column === null ? null : targetName(definition, column),
    ...(dimension ? { dimension: { table: dimension.table, key: dimension.key } } : {}),
    dayColumn: definition.windowColumn ?? '',
    ...(day?.type === 'timestamp' ? { timeZone: day.timeZone } : {}),
  }
}

/** The part of a request to the built-in runner that the log keeps. The runner reads the rest from the run. */
export const RequestNote = z.strictObject(
  MetricRunRequest.pick({ runId: true, attempt: true, metric: true, runner: true }).shape,
)
export type RequestNote = z.infer<typeof RequestNote>

/**
 * Returns events with complete requests in place of notes, from the current runs, in the attempts of the notes. An
 * event whose run was removed is left out.
 */
export async function expandRequests(tx: Tx, events: readonly OutboundEvent[]): Promise<OutboundEvent[]> {
  const notes = new Map<string, RequestNote>()
  for (const { id, body } of events) {
    const note = RequestNote.safeParse(body.data)
    if (note.success) notes.set(id, note.data)
  }
  if (notes.size === 0) return [...events]
  const requests = await readRunRequests(tx, [...new Set([...notes.values()].map(({ runId }) => runId))])
  const byRun = new Map(requests.map((request) => [request.runId, request]))
  return events.flatMap((event) => {
    const note = notes.get(event.id)
    if (!note) return [event]
    const request = byRun.get(note.runId)
    return request ? [{ ...event, body: { ...event.body, data: { ...request, attempt: note.attempt } } }] : []
  })
}
