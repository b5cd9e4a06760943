import { METRIC_QUEUE } from '@aduana/contracts/metrics/queue'
import { SCHEDULE_QUEUE } from '@aduana/contracts/schedules'
import { STAGES, stageQueueName } from '@aduana/contracts/stages'
import type { Logger } from '@aduana/runtime/logger'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { Queue } from 'bullmq'
import { createRedis } from './redis.ts'

export interface BoardQueues {
  adapters: BullMQAdapter[]
  close(): Promise<void>
}

/** Creates the queues for Bull Board: the stages in the order of the flow, the schedules, the metric runs. */
export function createBoardQueues(options: {
  redisUrl: string
  prefix: string
  logger: Logger
}): BoardQueues {
  const connection = createRedis(options.redisUrl, 'worker', options.logger)
  const shown = [
    ...STAGES.map((stage, index) => ({
      name: stageQueueName(stage.name),
      displayName: `${index + 1} ${stage.title}`,
      description: `Stage ${index + 1} of ${STAGES.length}: ${stage.title}`,
    })),
    { name: SCHEDULE_QUEUE, displayName: '6 Schedules', description: 'Recurring work' },
    { name: METRIC_QUEUE, displayName: '7 Metrics', description: 'Metric runs of the built-in runner' },
  ]
  const queues = shown.map(({ name, ...texts }) => {
    const queue = new Queue(name, { connection, prefix: options.prefix })
    queue.on('error', (error) => options.logger.debug({ event: 'queue.error', err: error }))
    return { queue, adapter: new BullMQAdapter(queue, texts) }
  })
  return {
    adapters: queues.map(({ adapter }) => adapter),
    close: async () => {
      await Promise.all(queues.map(({ queue }) => queue.close()))
      connection.disconnect()
    },
  }
}
