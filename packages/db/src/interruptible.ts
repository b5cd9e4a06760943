import type pg from 'pg'

/** A connection whose statements an abort cancels. */
export interface Interruptible {
  /** The connection that works. */
  client: pg.PoolClient
  /** Where another connection is taken from, to cancel. */
  pool: pg.Pool
  signal: AbortSignal
  /** Told when the cancel request itself fails; the work then goes on. */
  onCancelFailed(error: unknown): void
}

/**
 * While `work` runs, an abort cancels the statement of its connection, so that it stops within moments; the statement
 * then throws `query_canceled` (57014). A cancel request that is under way is waited for, so that it cannot hit a later
 * statement of the connection.
 */
export async function interruptible<T>(
  { client, pool, signal, onCancelFailed }: Interruptible,
  work: () => Promise<T>,
): Promise<T> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  let cancelling: Promise<void> = Promise.resolve()
  const cancel = () => {
    cancelling = pool
      .query('select pg_cancel_backend($1)', [rows[0]?.pid])
      .then(() => undefined, onCancelFailed)
  }
  if (signal.aborted) cancel()
  signal.addEventListener('abort', cancel, { once: true })
  try {
    return await work()
  } finally {
    signal.removeEventListener('abort', cancel)
    await cancelling
  }
}
