import type pg from 'pg'
import type { StageJob } from '../stage.ts'

/** While `work` runs, an abort cancels the statement of its connection, so that it stops within moments. */
export async function interruptible<T>(
  job: StageJob,
  client: pg.PoolClient,
  work: () => Promise<T>,
): Promise<T> {
  const pid = (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid
  const cancel = () =>
    void job.context.pool
      .query('select pg_cancel_backend($1)', [pid])
      .catch((error: unknown) => job.context.logger.warn({ event: 'load.not_interrupted', err: error }))
  if (job.signal.aborted) cancel()
  job.signal.addEventListener('abort', cancel, { once: true })
  try {
    return await work()
  } finally {
    job.signal.removeEventListener('abort', cancel)
  }
}
