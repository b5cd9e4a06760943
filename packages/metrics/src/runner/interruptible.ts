import type { Logger } from '@aduana/runtime/logger'
import type pg from 'pg'

const POLL_MS = 500

export interface Interruptible {
  pool: pg.Pool
  client: pg.PoolClient
  signal: AbortSignal
  /** Somebody waits for a table that this computation reads, to have it alone. */
  onBlocking: () => void
  logger: Logger
}

/**
 * While `work` runs on a connection, an abort cancels whatever statement it is at, until it has ended. Whoever exchanges a
 * part of a table, as a load does, waits for all that read it: that is told.
 */
export async function interruptible<T>(options: Interruptible, work: () => Promise<T>): Promise<T> {
  const { pool, client, signal, logger } = options
  const found = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  const pid = found.rows[0]?.pid
  const look = async () => {
    if (signal.aborted) await pool.query('select pg_cancel_backend($1)', [pid])
    else if (await isBlocking(pool, pid)) options.onBlocking()
  }
  let looking = Promise.resolve()
  const lookAgain = () => {
    looking = looking
      .then(look)
      .catch((error: unknown) => logger.warn({ event: 'metric_runner.interrupt_failed', err: error }))
  }
  // A cancellation that comes between two statements is without effect: it is repeated.
  const timer = setInterval(lookAgain, POLL_MS)
  signal.addEventListener('abort', lookAgain, { once: true })
  if (signal.aborted) lookAgain()
  try {
    return await work()
  } finally {
    clearInterval(timer)
    signal.removeEventListener('abort', lookAgain)
    // The connection serves others next.
    await looking
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
