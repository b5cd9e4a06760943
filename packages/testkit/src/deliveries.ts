import { type StageName, StagePayload, stageQueueName } from '@aduana/contracts/stages'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'

/** Deliveries that no dispatcher has enqueued. */
export interface Deliveries {
  /** Enqueues a stage of an attempt of a job, in addition to existing deliveries. */
  deliver(stage: StageName, payload: StagePayload): Promise<void>
  /** Returns the number of unfinished deliveries of a stage. */
  pending(stage: StageName): Promise<number>
  close(): Promise<void>
}

/** Opens the queues of an installation, to deliver stages twice, too early or too late. */
export function createDeliveries(redis: { url: string; prefix: string }): Deliveries {
  const connection = new Redis(redis.url, { maxRetriesPerRequest: null })
  const queues = new Map<StageName, Queue>()
  const queueOf = (stage: StageName) => {
    const queue = queues.get(stage) ?? new Queue(stageQueueName(stage), { connection, prefix: redis.prefix })
    queues.set(stage, queue)
    return queue
  }
  return {
    deliver: async (stage, payload) => {
      await queueOf(stage).add('delivered again', StagePayload.parse(payload), { attempts: 3 })
    },
    pending: async (stage) => {
      const counts = await queueOf(stage).getJobCounts('waiting', 'active', 'delayed', 'prioritized')
      return Object.values(counts).reduce((sum, count) => sum + count, 0)
    },
    close: async () => {
      await Promise.all([...queues.values()].map((queue) => queue.close()))
      connection.disconnect()
    },
  }
}
