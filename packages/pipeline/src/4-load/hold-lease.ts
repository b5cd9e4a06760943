import { type Lease, releaseLease, renewLease, takeLease } from '@aduana/jobs/windows/leases'
import type { StageJob } from '../stage.ts'

export interface HeldLease {
  lease: Lease
  /** Aborted when the stage attempt must stop, or when another process has taken the lease. */
  signal: AbortSignal
  /** Stops renewing the lease and releases it. */
  release(): Promise<void>
}

const RENEW_MS = 2000

/**
 * Acquires the lease of the job's windows and renews it while the load continues. Returns undefined if another process
 * holds it.
 */
export async function holdLease(job: StageJob): Promise<HeldLease | undefined> {
  const { context, stageAttempt } = job
  const holder = `${context.worker}/${stageAttempt.attempt}.${stageAttempt.try}`
  const lease = await takeLease(context.db, stageAttempt.jobId, holder)
  if (!lease) return undefined
  const lost = new AbortController()
  const timer = setInterval(() => {
    renewLease(context.db, lease).then(
      (renewed) => {
        if (!renewed) lost.abort(new Error('another process has taken the lease'))
      },
      // An unavailable database does not stop the load: the fence in the transaction decides.
      (error: unknown) =>
        context.logger.warn({ event: 'load.lease_not_renewed', jobId: stageAttempt.jobId, err: error }),
    )
  }, RENEW_MS)
  return {
    lease,
    signal: AbortSignal.any([job.signal, lost.signal]),
    release: async () => {
      clearInterval(timer)
      await releaseLease(context.db, lease).catch((error: unknown) =>
        context.logger.warn({ event: 'load.lease_not_released', jobId: stageAttempt.jobId, err: error }),
      )
    },
  }
}
