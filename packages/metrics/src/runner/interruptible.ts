import type { Logger } from '@aduana/runtime/logger'
import type pg from 'pg'

const POLL_MS = 500

/** What interruptible work needs. */
export interface Interruptible {
  pool: pg.Pool
  client: pg.PoolClient
  signal: AbortSignal
  /** Called when another transaction waits for exclusive access to a table that this computation reads. */
  onBlocking: () => void
  logger: Logger
}

/**
 * Runs `work` on a connection. When the signal aborts, cancels its current statement, repeatedly until the work ends.
 * Reports when the work blocks an exclusive lock, as a load takes when it exchanges a partition.
 */
export async function interruptible<T>(options: Interruptible, work: () => Promise<T>): Promise<T> {
  const { pool, client, signal, logger } = options
  const found = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  const pid = found.rows[0]?.pid
  const poll = async () => {
    if (signal.aborted) await pool.query('select pg_cancel_backend($1)', [pid])
    else if (await isBlocking(pool, pid)) options.onBlocking()
  }
  let polling = Promise.resolve()
  const pollAgain = () => {
    polling = polling
      .then(poll)
      .catch((error: unknown) => logger.warn({ event: 'metric_runner.interrupt_failed', err: error }))
  }
  // A cancellation between two statements has no effect, so it is repeated.
  const timer = setInterval(pollAgain, POLL_MS)
  signal.addEventListener('abort', pollAgain, { once: true })
  if (signal.aborted) pollAgain()
  try {
    return await work()
  } finally {
    clearInterval(timer)
    signal.removeEventListener('abort', pollAgain)
    // Wait, because the connection is reused and must not be cancelled later.
    await polling
  }
}

async function isBlocking(pool: pg.Pool, pid: number | undefined): Promise<boolean> {
  const found = await pool.query(
    `select from pg_locks where not granted and locktype = 'relation' and mode = 'AccessExclusiveLock'
      and database = (select oid from pg_database where datname = current_database())
      and $1 = any (pg_blocking_pids(pid)) limit 1`,
    [pid],
  )
  return found.rowCount === 1
}
