import { METRIC_QUEUE, MetricJobPayload } from '@aduana/contracts/metrics/queue'
import type { Logger } from '@aduana/runtime/logger'
import { type Job, UnrecoverableError, WaitingError } from 'bullmq'
import { createRedis } from './redis.ts'
import { startWorker } from './worker.ts'

/** Handles a job, or finds that it is done. Returns the result for Bull Board. */
export type MetricJobHandler = (payload: MetricJobPayload, signal: AbortSignal) => Promise<string>

export interface MetricWorkers {
  /** Stops taking jobs and returns active ones to the queue without spending a try. Resolves when they are returned. */
  close(): Promise<void>
}

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
  const worker = startWorker(METRIC_QUEUE, process, { connection, prefix, concurrency, logger })
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
