import { isHolder, LOCK_TEXTS } from '@aduana/db/advisory-locks'
import type { Database } from '@aduana/db/database'
import { sql } from 'kysely'
import type pg from 'pg'

/** A worker, and its session at the time of the look. */
export interface RegisteredSession {
  worker: string
  session: string
}

/** The result of one look at all sessions. */
export interface EndedSessions {
  /** The backend that served the look. */
  pid: number
  /** Time of the look, by the database's clock. */
  at: string
  /** The sessions whose locks are free. */
  ended: RegisteredSession[]
}

/** Takes the lock of a new session on this connection. Returns false when another backend than `pid` serves it. */
export async function lockSession(client: pg.Client, session: string, pid: number): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    `select case when pg_backend_pid() = $2 then pg_try_advisory_lock(${LOCK_TEXTS.workerSession('$1::text')}) end as locked`,
    [session, pid],
  )
  return rows[0]?.locked === true
}

/** Returns whether the backend `pid` serves this connection and holds the lock of the session. */
export async function holdsSession(client: pg.Client, session: string, pid: number): Promise<boolean> {
  const { rows } = await client.query<{ held: boolean }>(
    `select pg_backend_pid() = $2 and ${isHolder('$2', LOCK_TEXTS.workerSession('$1::text'))} as held`,
    [session, pid],
  )
  return rows[0]?.held === true
}

/** Adds a worker with its session to the registry, without stages until its first heartbeat. */
export async function registerSession(
  client: pg.Client,
  { worker, session }: RegisteredSession,
): Promise<void> {
  await client.query(
    `insert into workers (id, stages, session) values ($1, '{}', $2)
     on conflict (id) do update set session = excluded.session, ended_at = null`,
    [worker, session],
  )
}

/** Records that a worker has no session, unless it has opened another one meanwhile. */
export async function withdrawSession(db: Database, { worker, session }: RegisteredSession): Promise<void> {
  await sql`update workers set session = null, ended_at = null
    where id = ${worker} and session = ${session}`.execute(db)
}

/**
 * Returns the sessions of other workers that have ended, which are those whose locks are free. The check does not wait. It
 * takes free locks in shared mode until the statement ends, which blocks no worker, because each session has its own key.
 */
export async function findEndedSessions(client: pg.Client, worker: string): Promise<EndedSessions> {
  const { rows } = await client.query<EndedSessions>(
    `select pg_backend_pid() as pid, clock_timestamp()::text as at,
       (select coalesce(json_agg(json_build_object('worker', w.id, 'session', w.session)), '[]') from workers w
        where w.id <> $1 and w.session is not null
          and pg_try_advisory_xact_lock_shared(${LOCK_TEXTS.workerSession('w.session')})) as ended`,
    [worker],
  )
  const [look] = rows
  if (!look) throw new Error('the look for ended sessions returned nothing')
  return look
}

/**
 * Marks the workers of an earlier look as ended, if their sessions are still closed and neither they nor a stage attempt of
 * theirs has had a heartbeat since. Returns their ids, each to only one caller, which must take over their work.
 */
export async function claimEndedSessions(client: pg.Client, { at, ended }: EndedSessions): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(
    `update workers w set session = null, ended_at = clock_timestamp()
     from jsonb_to_recordset($1::jsonb) as e(worker text, session uuid)
     where w.id = e.worker and w.session = e.session and w.seen_at < $2::timestamptz
       and pg_try_advisory_xact_lock_shared(${LOCK_TEXTS.workerSession('w.session')})
       and not exists (select from jobs j join stage_results s on s.job_id = j.id
         where j.status = 'PROCESSING' and s.state = 'running' and s.worker = w.id
           and s.heartbeat_at >= $2::timestamptz)
     returning w.id`,
    [JSON.stringify(ended), at],
  )
  return rows.map(({ id }) => id)
}
