import { type RawBuilder, sql } from 'kysely'
import pg from 'pg'
import type { Tx } from './database.ts'

/** SQL of the key of an advisory lock. */
export type LockKey = RawBuilder<string>

const named = (name: string) => sql<string>`hashtextextended(${sql.lit(name)}, 0)`
const namedOf = (name: string, subject: string) =>
  sql<string>`hashtextextended(${sql.lit(`${name} `)} || ${subject}::text, 0)`

/**
 * The keys of all advisory locks. A key does not change: while an upgrade runs, programs of two versions use it. The order in
 * which transactions take the locks is in `docs/guides/locks.md`.
 */
export const LOCKS = {
  artifactStores: named('artifact stores'),
  /** Saving and registering definitions. */
  datasets: named('register datasets'),
  dispatch: named('dispatch'),
  metricClaim: named('aduana metric claim'),
  metricGraph: named('aduana metric graph'),
  /** Counting the queued jobs before another is accepted. */
  queueCapacity: named('room in the queue'),
  retention: named('retention'),
  /** Deciding whether a suspect may be processed. */
  suspects: named('suspects'),
  /** Held in share mode by the transactions that work on a job. */
  workOnJob: (jobId: string): LockKey => namedOf('work on job', jobId),
  /** Held in share mode by the transaction in which a runner computes. */
  metricRunner: (runner: string): LockKey => namedOf('aduana metric runner', runner),
  metricUpkeep: (check: string): LockKey => namedOf('aduana metric upkeep', check),
  /** Changing the locks and waiters of a dataset, so that no two claims interleave. */
  windows: (datasetId: string): LockKey => namedOf('window', datasetId),
} as const

/** The keys of locks that are taken without Kysely, as text of SQL. */
export const LOCK_TEXTS = {
  /** `table` is the quoted name of the target. */
  partitions: (table: string): string => `hashtextextended(${pg.escapeLiteral(`partitions of ${table}`)}, 0)`,
  /** Held by a worker while its session is open. `session` is an SQL expression. */
  workerSession: (session: string): string => `hashtextextended('worker session ' || ${session}, 0)`,
} as const

/** The keys that are numbers. They are arbitrary. */
export const NUMBERED_LOCKS = {
  migrations: 7_461_001,
  firstAdmin: 7_461_002,
  testTemplates: 7_461_003,
} as const

/** The class of the locks of metrics that are being computed. The second key of a lock is a number of the metric. */
export const METRIC_LOCK_CLASS = 7_461_010

/** Takes an advisory lock until the transaction ends. Waits for transactions that hold it. */
export async function takeLock(tx: Tx, key: LockKey | number): Promise<void> {
  await sql`select pg_advisory_xact_lock(${key})`.execute(tx)
}

/** Takes an advisory lock in share mode until the transaction ends. Waits for a transaction that holds it alone. */
export async function shareLock(tx: Tx, key: LockKey): Promise<void> {
  await sql`select pg_advisory_xact_lock_shared(${key})`.execute(tx)
}

/** Takes an advisory lock until the transaction ends, without waiting. Returns false when another transaction holds it. */
export async function tryLock(tx: Tx, key: LockKey): Promise<boolean> {
  const found = await sql<{ taken: boolean }>`select pg_try_advisory_xact_lock(${key}) as taken`.execute(tx)
  return found.rows[0]?.taken === true
}

/** The condition that a row `l` of `pg_locks` is a granted advisory lock of this database, up to its key. */
const GRANTED_WITH_KEY = `l.locktype = 'advisory' and l.objsubid = 1 and l.granted
      and l.database = (select oid from pg_database where datname = current_database())
      and (l.classid::bigint << 32 | l.objid::bigint)`

/** Returns SQL of the backends that hold an advisory lock, except the one that executes the query. */
export function holdersOf(key: LockKey): RawBuilder<{ pid: number }> {
  return sql`select l.pid from pg_locks l where ${sql.raw(GRANTED_WITH_KEY)} = ${key} and l.pid <> pg_backend_pid()`
}

/** Returns text of an SQL condition: the backend `pid`, an SQL expression, holds an advisory lock. */
export function isHolder(pid: string, key: string): string {
  return `exists (select from pg_locks l where ${GRANTED_WITH_KEY} = ${key} and l.pid = ${pid})`
}
