import type { CloudEvent, MetricRunRequest } from '@aduana/contracts/metrics/events'
import type { RunStatus } from '@aduana/contracts/metrics/runs'
import type { Tx } from '@aduana/db/database'
import { jsonb } from '@aduana/db/jsonb'
import { sql } from 'kysely'
import { wakeOutbox } from '../outbox/channel.ts'
import { readRunRequests } from './read-request.ts'
import { addedScopes } from './scopes.ts'
import { changeRuns } from './transitions.ts'

/** Where our events come from, as CloudEvents wants it: a URI reference. */
export const EVENT_SOURCE = '/aduana'

/**
 * Ask for runs: the next attempt of each, in the current version of its metric, with the changes that came in the
 * meantime; the request stands in the outbox when the transaction commits. Answers the ids of those asked for.
 */
export async function requestRuns(
  tx: Tx,
  runIds: readonly string[],
  from: readonly RunStatus[],
): Promise<string[]> {
  const changed = await changeRuns(
    tx,
    runIds.map((id) => ({ id })),
    from,
    {
      status: 'REQUESTED',
      attempt: sql<number>`metric_runs.attempt + 1`,
      metric_version: sql<number>`(select current_version from metrics m where m.id = metric_runs.metric_id)`,
      days: sql<string>`days + coalesce(next_days, '{}')`,
      companies: addedNext('companies'),
      warehouses: addedNext('warehouses'),
      next_days: null,
      next_companies: null,
      next_warehouses: null,
      requested_at: sql<Date>`clock_timestamp()`,
      started_at: null,
      last_heartbeat_at: null,
      retry_at: null,
      completed_at: null,
      progress: 0,
      message: '',
      runner: null,
      row_count: null,
      output_days: null,
      manifest: null,
      job_id: null,
      error: null,
    },
  )
  const ids = changed.map(({ id }) => id)
  if (ids.length === 0) return []
  await sql`update run_dataset_updates set for_next = false
    where for_next and run_id = any (${ids}::uuid[])`.execute(tx)
  await emit(tx, await readRunRequests(tx, ids))
  return ids
}

function addedNext(name: 'companies' | 'warehouses') {
  const own = sql.ref(`metric_runs.${name}`)
  return sql<string[] | null>`case when next_days is null then ${own}
    else ${addedScopes(sql`next_days`, own, sql.ref(`metric_runs.next_${name}`))} end`
}

async function emit(tx: Tx, requests: readonly MetricRunRequest[]): Promise<void> {
  const rows = requests.map((data) => {
    const key = `${data.runId}:${data.attempt}:requested`
    const body: CloudEvent = {
      specversion: '1.0',
      id: key,
      source: EVENT_SOURCE,
      type: 'aduana.metric_run.requested',
      time: new Date().toISOString(),
      datacontenttype: 'application/json',
      data,
    }
    return { event_key: key, body }
  })
  await sql`insert into event_log (event_key, type, body, outbound)
    select e.event_key, 'aduana.metric_run.requested', e.body, true
    from jsonb_to_recordset(${jsonb(rows)}::jsonb) as e(event_key text, body jsonb)`.execute(tx)
  await wakeOutbox(tx)
}
