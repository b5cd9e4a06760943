import type pg from 'pg'

/** A connection whose statements are cancelled when a signal is aborted. */
export interface Interruptible {
  /** The connection that executes the statements. */
  client: pg.PoolClient
  /** The pool of the connection that sends the cancel request. */
  pool: pg.Pool
  signal: AbortSignal
  /** Called when the cancel request fails; the work then continues. */
  onCancelFailed(error: unknown): void
}

/**
 * Runs `work`. An abort of the signal cancels the current statement of its connection, which then throws `query_canceled`
 * (57014). Waits for a pending cancel request before it returns, so that it cannot hit a later statement.
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
