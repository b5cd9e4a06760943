import { type Lease, releaseLease, renewLease, takeLease } from '@aduana/jobs/leases'
import type { StageJob } from '../stage.ts'

export interface HeldLease {
  lease: Lease
  /** Aborted when the run must stop, or when the lease has changed hands. */
  signal: AbortSignal
  /** Stop renewing and give it back. */
  release(): Promise<void>
}

const RENEW_MS = 2000

/** Take the lease of the job's windows and keep it alive while the load goes on. Undefined while somebody else has it. */
export async function holdLease(job: StageJob): Promise<HeldLease | undefined> {
  const { context, run } = job
  const holder = `${context.worker}/${run.attempt}.${run.try}`
  const lease = await takeLease(context.db, run.jobId, holder)
  if (!lease) return undefined
  const lost = new AbortController()
  const timer = setInterval(() => {
    renewLease(context.db, lease).then(
      (renewed) => {
        if (!renewed) lost.abort(new Error('the lease has changed hands'))
      },
      // A database that does not answer is no reason to stop: the fence in the transaction decides.
      (error: unknown) =>
        context.logger.warn({ event: 'load.lease_not_renewed', jobId: run.jobId, err: error }),
    )
  }, RENEW_MS)
  return {
    lease,
    signal: AbortSignal.any([job.signal, lost.signal]),
    release: async () => {
      clearInterval(timer)
      await releaseLease(context.db, lease).catch((error: unknown) =>
        context.logger.warn({ event: 'load.lease_not_released', jobId: run.jobId, err: error }),
      )
    },
  }
}
