import { interruptible as interruptibleOf } from '@aduana/db/interruptible'
import type pg from 'pg'
import type { StageJob } from '../stage.ts'

/** Runs `work`. An abort of the job cancels the current statement of its connection, so that it stops within moments. */
export function interruptible<T>(job: StageJob, client: pg.PoolClient, work: () => Promise<T>): Promise<T> {
  return interruptibleOf(client, { ...job.context, signal: job.signal }, work)
}
