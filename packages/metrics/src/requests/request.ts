import type { CloudEvent } from '@aduana/contracts/metrics/events'
import type { RunStatus } from '@aduana/contracts/metrics/runs'
import type { Tx } from '@aduana/db/database'
import { jsonb } from '@aduana/db/jsonb'
import { notifyOutbox } from '@aduana/outbox/channel'
import { sql } from 'kysely'
import { z } from 'zod'
import { addScopes } from '../runs/scopes.ts'
import { changeRuns } from '../runs/transitions.ts'
import { RequestNote, readRunRequests } from './payload.ts'

/** The `source` of our CloudEvents, a URI reference. */
const EVENT_SOURCE = '/aduana'

/**
 * Requests runs: the next attempt of each, in the current version of its metric, including the changes that arrived
 * for the next run. The requests are in the outbox when the transaction commits. The caller has locked the runs.
 * Returns their ids.
 * @throws OvertakenRunError when one of them is in none of the states `from`
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
  await writeRequests(tx, ids)
  return ids
}

function addedNext(name: 'companies' | 'warehouses') {
  const own = sql.ref(`metric_runs.${name}`)
  return sql<string[] | null>`case when next_days is null then ${own}
    else ${addScopes(sql`next_days`, own, sql.ref(`metric_runs.next_${name}`))} end`
}

/**
 * Writes the requests to the log. Requests to external runners are written completely and sent from there. Requests
 * to the built-in runner are most of the log, so only a note is written; the runner reads the run.
 */
async function writeRequests(tx: Tx, ids: readonly string[]): Promise<void> {
  const notes = await readNotes(tx, ids)
  const external = notes.filter(({ runner }) => runner === 'external').map(({ runId }) => runId)
  const complete = new Map((await readRunRequests(tx, external)).map((request) => [request.runId, request]))
  const rows = notes.map((note) => {
    const data = complete.get(note.runId) ?? note
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
  await notifyOutbox(tx)
}

/** Returns the notes of runs, ordered by metric code. */
async function readNotes(tx: Tx, ids: readonly string[]): Promise<RequestNote[]> {
  const rows =
    await sql`select r.id as "runId", r.attempt, m.code as metric, v.definition ->> 'runner' as runner
    from metric_runs r join metric_versions v on v.metric_id = r.metric_id and v.version = r.metric_version
      join metrics m on m.id = r.metric_id
    where r.id = any (${ids}::uuid[]) order by m.code, r.as_of`.execute(tx)
  return z.array(RequestNote).parse(rows.rows)
}
