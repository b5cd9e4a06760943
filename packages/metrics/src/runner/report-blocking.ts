import { backendPid } from '@aduana/db/single-connection'
import type { Logger } from '@aduana/runtime/logger'
import { startPollLoop } from '@aduana/runtime/poll-loop'
import type pg from 'pg'

const POLL_MS = 500

/**
 * Runs `work` on a connection, and calls `onBlocking` while another transaction waits for exclusive access to a table that the
 * work reads, as a load does when it exchanges a partition.
 */
export async function reportBlocking<T>(
  client: pg.PoolClient,
  { pool, logger, onBlocking }: { pool: pg.Pool; logger: Logger; onBlocking: () => void },
  work: () => Promise<T>,
): Promise<T> {
  const pid = await backendPid(client)
  const pollLoop = startPollLoop({
    intervalMs: POLL_MS,
    atStart: false,
    poll: async () => {
      if (await isBlocking(pool, pid)) onBlocking()
    },
    onError: (error) => logger.warn({ event: 'metric_runner.blocking_not_read', err: error }),
  })
  try {
    return await work()
  } finally {
    await pollLoop.stop()
  }
}

async function isBlocking(pool: pg.Pool, pid: number): Promise<boolean> {
  const found = await pool.query(
    `select from pg_locks where not granted and locktype = 'relation' and mode = 'AccessExclusiveLock'
      and database = (select oid from pg_database where datname = current_database())
      and $1 = any (pg_blocking_pids(pid)) limit 1`,
    [pid],
  )
  return found.rowCount === 1
}
