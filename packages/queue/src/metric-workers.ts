import { METRIC_QUEUE, MetricJobPayload } from '@aduana/contracts/metrics/queue'
import type { Logger } from '@aduana/runtime/logger'
import { type Job, UnrecoverableError, WaitingError, Worker } from 'bullmq'
import { createRedis } from './redis.ts'

/** Handles a job, or finds that it is done. Returns the result for Bull Board. */
export type MetricJobHandler = (payload: MetricJobPayload, signal: AbortSignal) => Promise<string>

export interface MetricWorkers {
  /** Stops taking jobs and returns active ones to the queue without spending a try. Resolves when they are returned. */
  close(): Promise<void>
}

// As for stages: a job of a dead worker is recovered after at most lockDuration + stalledInterval.
const LOCK_MS = 10_000
const STALLED_CHECK_MS = 3000
const STALLS_ALLOWED = 3

/**
 * Consumes the queue of the built-in runner, `concurrency` jobs at once. A job whose handler throws is retried. The signal of
 * the handler is aborted when the process stops.
 */
export function startMetricWorkers(options: {
  redisUrl: string
  prefix: string
  logger: Logger
  concurrency: number
  handler: MetricJobHandler
}): MetricWorkers {
  const { logger, prefix, concurrency, handler } = options
  const connection = createRedis(options.redisUrl, 'worker', logger)
  let stopping = false
  // Exactly three parameters: BullMQ passes the signal only to a function that declares it.
  const process = async (job: Job, token: string | undefined, signal?: AbortSignal) => {
    const payload = MetricJobPayload.safeParse(job.data)
    if (!payload.success) {
      logger.error({ event: 'queue.bad_payload', queueJob: job.id, issues: payload.error.issues })
      throw new UnrecoverableError(`The payload of the run is invalid: ${payload.error.message}`)
    }
    try {
      return await handler(payload.data, signal ?? new AbortController().signal)
    } catch (error) {
      if (!stopping) throw error
      logger.info({ event: 'queue.released', queueJob: job.id, err: error })
      await job.moveToWait(token)
      throw new WaitingError()
    }
  }
  const worker = new Worker(METRIC_QUEUE, process, {
    connection,
    prefix,
    concurrency,
    lockDuration: LOCK_MS,
    stalledInterval: STALLED_CHECK_MS,
    maxStalledCount: STALLS_ALLOWED,
  })
  worker.on('error', (error) => logger.warn({ event: 'queue.worker_error', err: error }))
  worker.on('stalled', (id) => logger.warn({ event: 'queue.stalled', queueJob: id }))
  worker.on('lockRenewalFailed', (ids) => logger.warn({ event: 'queue.lock_lost', queueJobs: ids }))
  worker.on('failed', (job, error) =>
    logger.warn({ event: 'queue.metric_job_failed', queueJob: job?.id, err: error }),
  )
  return {
    close: async () => {
      stopping = true
      const closing = worker.close()
      worker.cancelAllJobs('the process stops')
      await closing
      connection.disconnect()
    },
  }
}
