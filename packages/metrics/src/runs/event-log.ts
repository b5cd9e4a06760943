import type { DomainEvent } from '@aduana/contracts/events'
import type { Tx } from '@aduana/db/database'
import { jsonb } from '@aduana/db/jsonb'
import { sql } from 'kysely'

/** An event to append to the log. */
export interface LogEntry {
  /** Prevents duplicates when a transaction is repeated. */
  key: string
  datasetId?: string
  event: DomainEvent
}

/** Appends events to the log in one statement. An event whose key exists is ignored. */
export async function logEvents(tx: Tx, events: readonly LogEntry[]): Promise<void> {
  if (events.length === 0) return
  const rows = events.map(({ key, datasetId, event }) => ({
    event_key: key,
    type: event.type,
    dataset_id: datasetId ?? null,
    body: event,
  }))
  await sql`insert into event_log (event_key, type, dataset_id, body)
    select e.event_key, e.type, e.dataset_id, e.body
    from jsonb_to_recordset(${jsonb(rows)}::jsonb) as e(event_key text, type text, dataset_id uuid, body jsonb)
    on conflict (event_key) do nothing`.execute(tx)
}

/** Returns the fields of runs that their events contain, by run id. */
export async function runFacts(
  tx: Tx,
  runIds: readonly string[],
): Promise<Map<string, { runId: string; metric: string; asOf: string }>> {
  const rows = await tx
    .selectFrom('metric_runs')
    .innerJoin('metrics', 'metrics.id', 'metric_runs.metric_id')
    .select(['metric_runs.id', 'metrics.code', 'metric_runs.as_of'])
    .where(sql<boolean>`metric_runs.id = any (${runIds}::uuid[])`)
    .execute()
  return new Map(rows.map((row) => [row.id, { runId: row.id, metric: row.code, asOf: row.as_of }]))
}
