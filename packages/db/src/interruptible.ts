import type { Logger } from '@aduana/runtime/logger'
import { type PollLoop, startPollLoop } from '@aduana/runtime/poll-loop'
import type pg from 'pg'
import { backendPid } from './single-connection.ts'

/** What cancels the statements of a connection. */
export interface Interruption {
  /** The pool of the connection that sends the cancel requests. */
  pool: pg.Pool
  signal: AbortSignal
  /** Logs cancel requests that fail. The work then continues. */
  logger: Pick<Logger, 'warn'>
}

const RETRY_MS = 500

/**
 * Runs `work` on a connection. After an abort of the signal, cancels the current statement of the connection, which then
 * throws `query_canceled` (57014), repeatedly until the work ends. No statement that follows the work is cancelled.
 */
export async function interruptible<T>(
  client: pg.PoolClient,
  { pool, signal, logger }: Interruption,
  work: () => Promise<T>,
): Promise<T> {
  const pid = await backendPid(client)
  let cancelling: PollLoop | undefined
  const cancel = () => {
    // A cancel request between two statements has no effect, so it is repeated.
    cancelling = startPollLoop({
      intervalMs: RETRY_MS,
      poll: async () => {
        await pool.query('select pg_cancel_backend($1)', [pid])
      },
      onError: (error) => logger.warn({ event: 'db.cancel_failed', err: error }),
    })
  }
  if (signal.aborted) cancel()
  else signal.addEventListener('abort', cancel, { once: true })
  try {
    return await work()
  } finally {
    signal.removeEventListener('abort', cancel)
    await cancelling?.stop()
  }
}
