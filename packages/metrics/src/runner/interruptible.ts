import type { Logger } from '@aduana/runtime/logger'
import type pg from 'pg'

const AGAIN_MS = 500

/** While `work` runs on a connection, an abort cancels whatever statement it is at, until it has ended. */
export async function interruptible<T>(
  options: { pool: pg.Pool; client: pg.PoolClient; signal: AbortSignal; logger: Logger },
  work: () => Promise<T>,
): Promise<T> {
  const { pool, client, signal, logger } = options
  const found = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  const pid = found.rows[0]?.pid
  let cancelling = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  const cancel = () => {
    cancelling = cancelling
      .then(() => pool.query('select pg_cancel_backend($1)', [pid]))
      .then(
        () => undefined,
        (error: unknown) => logger.warn({ event: 'metric_runner.not_interrupted', err: error }),
      )
  }
  const onAbort = () => {
    cancel()
    // One that comes between two statements is without effect.
    timer = setInterval(cancel, AGAIN_MS)
  }
  if (signal.aborted) onAbort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await work()
  } finally {
    signal.removeEventListener('abort', onAbort)
    clearInterval(timer)
    // The connection serves others next.
    await cancelling
  }
}
