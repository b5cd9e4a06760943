import { METRIC_QUEUE, MetricJobPayload } from '@aduana/contracts/metrics/queue'
import type { Logger } from '@aduana/runtime/logger'
import { Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { createRedis, onReadyConnection } from './redis.ts'
import { RETRY_BACKOFF } from './retry-backoff.ts'

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
  const { open, close } = onReadyConnection(
    connection,
    () => createQueue(connection, options.prefix, options.logger),
    (queue) => queue.waitUntilReady(),
  )
  return {
    add: async (jobs) => {
      const ready = await open()
      await ready.addBulk(jobs.map(bulkJob))
    },
    close,
  }
}

function createQueue(connection: Redis, prefix: string, logger: Logger): Queue {
  const queue = new Queue(METRIC_QUEUE, { connection, prefix })
  queue.on('error', (error) => logger.debug({ event: 'queue.error', err: error }))
  return queue
}

function bulkJob({ metric, runId, attempt }: MetricJob) {
  return {
    name: metric,
    data: MetricJobPayload.parse({ runId, attempt }),
    opts: {
      jobId: metricJobId({ runId, attempt }),
      attempts: 8,
      backoff: RETRY_BACKOFF,
      sizeLimit: 4096,
      removeOnComplete: { age: DAY_SECONDS, count: 5000 },
      removeOnFail: { age: 7 * DAY_SECONDS, count: 5000 },
    },
  }
}
