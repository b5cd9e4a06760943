import { METRIC_QUEUE, MetricJobPayload } from '@aduana/contracts/metrics/queue'
import type { Logger } from '@aduana/runtime/logger'
import { Queue } from 'bullmq'
import { QueueUnavailableError } from './flow.ts'
import { createRedis } from './redis.ts'

const DAY_SECONDS = 86_400

export interface MetricJob extends MetricJobPayload {
  /** Code of the metric, for Bull Board. */
  metric: string
}

/** The producer of the built-in runner's queue. */
export interface MetricQueue {
  /** Adds a job for each run: all or none. Existing jobs are not changed. @throws QueueUnavailableError */
  add(jobs: readonly MetricJob[]): Promise<void>
  close(): Promise<void>
}

/** Returns the BullMQ id of an attempt of a run, so that adding it again does nothing. */
function metricJobId({ runId, attempt }: MetricJobPayload): string {
  return `${runId}_${attempt}`
}

/** Creates the producer. Calls fail at once with `QueueUnavailableError` when Redis is not available. */
export function createMetricQueue(options: {
  redisUrl: string
  prefix: string
  logger: Logger
}): MetricQueue {
  const connection = createRedis(options.redisUrl, 'producer', options.logger)
  let queue: Queue | undefined
  // BullMQ objects must be created on a ready connection; one whose start failed never recovers.
  const open = async (): Promise<Queue> => {
    if (connection.status !== 'ready') throw new QueueUnavailableError('Redis cannot be reached')
    if (!queue) {
      queue = new Queue(METRIC_QUEUE, { connection, prefix: options.prefix })
      queue.on('error', (error) => options.logger.debug({ event: 'queue.error', err: error }))
    }
    try {
      await queue.waitUntilReady()
      return queue
    } catch (error) {
      queue = undefined
      throw new QueueUnavailableError('Redis cannot be reached', { cause: error })
    }
  }
  return {
    add: async (jobs) => {
      const ready = await open()
      await ready.addBulk(jobs.map(bulkJob))
    },
    close: async () => {
      await queue?.close()
      connection.disconnect()
    },
  }
}

function bulkJob({ metric, runId, attempt }: MetricJob) {
  return {
    name: metric,
    data: MetricJobPayload.parse({ runId, attempt }),
    opts: {
      jobId: metricJobId({ runId, attempt }),
      attempts: 8,
      backoff: { type: 'exponential' as const, delay: 500, jitter: 0.5 },
      sizeLimit: 4096,
      removeOnComplete: { age: DAY_SECONDS, count: 5000 },
      removeOnFail: { age: 7 * DAY_SECONDS, count: 5000 },
    },
  }
}
