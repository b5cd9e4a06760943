import type { ArtifactStore } from '@aduana/artifacts/store'
import { type Database, databaseTime, inTransaction } from '@aduana/db/database'
import type { Logger } from '@aduana/runtime/logger'
import { sql } from 'kysely'
import { pruneIdempotencyKeys } from '../accept/idempotency.ts'
import { wakeDispatchers } from '../lifecycle/transitions.ts'
import { pruneWorkers } from '../workers/worker-registry.ts'
import { foldKeptBytes } from './stored-bytes.ts'

/** A younger file may belong to an upload that has not been accepted yet. */
const MIN_STRAY_AGE_MS = 60 * 60_000
const KEYS_AT_ONCE = 500

/**
 * Removes what no retention covers and nothing refers to any more, and returns the numbers of removed items. Safe at any
 * time and in any number of processes. `now` is the database's time by default: on a host whose clock is ahead, files that
 * have just arrived would be removed.
 */
export async function pruneExpired(
  db: Database,
  store: ArtifactStore,
  logger: Logger,
  now?: Date,
): Promise<{ tickets: number; files: number; tables: number; windows: number }> {
  const tickets = await deleteExpired(db, 'ws_tickets')
  await deleteExpired(db, 'ended_sessions')
  await pruneIdempotencyKeys(db)
  await pruneWorkers(db)
  await foldKeptBytes(db)
  const files = await removeStrays(db, store, now ?? (await databaseTime(db)))
  const tables = await dropAbandonedTables(db)
  const windows = await releaseWindowsOfFinalJobs(db, logger)
  const result = { tickets, files, tables, windows }
  logger.info({ event: 'housekeeping.done', ...result })
  return result
}

async function deleteExpired(db: Database, table: 'ws_tickets' | 'ended_sessions'): Promise<number> {
  const gone = await db
    .deleteFrom(table)
    .where('expires_at', '<', sql<Date>`clock_timestamp()`)
    .executeTakeFirst()
  return Number(gone.numDeletedRows)
}

/**
 * Removes files that no job refers to: uploads whose acceptance never committed, files of overtaken stage attempts, and
 * files that are past their retention but were not deleted. Files of open jobs stay.
 */
async function removeStrays(db: Database, store: ArtifactStore, now: Date): Promise<number> {
  let removed = 0
  let batch: string[] = []
  const flush = async () => {
    for (const key of await strays(db, batch)) {
      await store.remove(key)
      removed += 1
    }
    batch = []
  }
  for await (const { key, storedAt } of store.list('jobs')) {
    if (now.getTime() - storedAt.getTime() < MIN_STRAY_AGE_MS) continue
    batch.push(key)
    if (batch.length >= KEYS_AT_ONCE) await flush()
  }
  await flush()
  return removed
}

async function strays(db: Database, keys: readonly string[]): Promise<string[]> {
  if (keys.length === 0) return []
  const rows = await sql<{ key: string }>`
    select k.key from unnest(${[...keys]}::text[]) as k(key)
    where not exists (select from artifacts a where a.key = k.key and a.removed_at is null)
      and not exists (select from jobs j
        where j.id::text = split_part(k.key, '/', 2) and j.completed_at is null)`.execute(db)
  return rows.rows.map(({ key }) => key)
}

/**
 * Removes locks, waiters and leases of final jobs. Triggers refuse such rows, so each one that is found bypassed them (a
 * restore, a manual change) and is logged. Otherwise it would block other jobs forever.
 */
async function releaseWindowsOfFinalJobs(db: Database, logger: Logger): Promise<number> {
  const left = await inTransaction(db, async (tx) => {
    const found = await sql<{ job_id: string; what: string }>`
      with final as (
        select id from jobs where completed_at is not null and id in (
          select job_id from window_locks union select job_id from window_waiters union select job_id from window_leases)
      ), locks as (
        delete from window_locks where job_id in (select id from final) returning job_id
      ), waiters as (
        delete from window_waiters where job_id in (select id from final) returning job_id
      ), leases as (
        delete from window_leases where job_id in (select id from final) returning job_id
      )
      select job_id, 'lock' as what from locks union all select job_id, 'waiter' from waiters
      union all select job_id, 'lease' from leases`.execute(tx)
    if (found.rows.length > 0) await wakeDispatchers(tx)
    return found.rows
  })
  for (const { job_id: jobId, what } of left)
    logger.error({ event: 'housekeeping.window_of_final_job', jobId, what })
  return left.length
}

/** Drops tables that a load filled but, because its process died, neither published nor dropped. Their names contain the
 * number of their import. Returns how many. */
async function dropAbandonedTables(db: Database): Promise<number> {
  const rows = await sql<{ schema: string; name: string }>`
    select n.nspname as schema, c.relname as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
      join imports i on i.import_no::text = substring(c.relname from '^load_([0-9]+)_[0-9]+_[0-9]+_')
      join jobs j on j.id = i.job_id
    where c.relkind = 'r' and not c.relispartition and j.completed_at is not null`.execute(db)
  for (const { schema, name } of rows.rows)
    await sql`drop table if exists ${sql.id(schema, name)}`.execute(db)
  return rows.rows.length
}
