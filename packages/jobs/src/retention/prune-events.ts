import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { type Cutoff, cutoffOf } from './cutoff.ts'

const EVENTS_AT_ONCE = 2000

/**
 * Removes the events that are older than `days`, have been sent, and belong to no open job, in batches, oldest first. A
 * trigger of the log enforces these conditions. Returns how many were removed.
 */
export async function pruneEvents(db: Database, cutoff: Cutoff): Promise<number> {
  let after = '0'
  let removed = 0
  for (;;) {
    const page = await inTransaction(db, (tx) => removePage(tx, cutoff, after))
    removed += page.removed
    if (page.last === null || page.old === 0) return removed
    after = page.last
  }
}

interface EventPage {
  /** The last event of the page; null when there is none after `after`. */
  last: string | null
  /** Number of old events in the page. Once it is 0, all later events are younger. */
  old: number
  removed: number
}

async function removePage(tx: Tx, cutoff: Cutoff, after: string): Promise<EventPage> {
  await sql`select set_config('aduana.retention', 'on', true)`.execute(tx)
  const rows = await sql<EventPage>`
    with page as (
      select id, occurred_at < ${cutoffOf(cutoff)} as old, not outbound or sent_at is not null as sent, job_id
      from event_log where id > ${after}::bigint order by id limit ${EVENTS_AT_ONCE}
    ), gone as (
      delete from event_log e using page p where e.id = p.id and p.old and p.sent
        and not exists (select from jobs j where j.id = p.job_id and j.completed_at is null)
      returning 1
    )
    select max(id)::text as last, count(*) filter (where old)::integer as old,
      (select count(*)::integer from gone) as removed from page`.execute(tx)
  return rows.rows[0] ?? { last: null, old: 0, removed: 0 }
}
