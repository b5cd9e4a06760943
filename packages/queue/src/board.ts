import { STAGES, stageQueueName } from '@aduana/contracts/stages'
import type { Logger } from '@aduana/runtime/logger'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { Queue } from 'bullmq'
import { createRedis } from './redis.ts'

export interface BoardQueues {
  adapters: BullMQAdapter[]
  close(): Promise<void>
}

/** The stage queues as Bull Board shows them, in the order of the flow. */
export function createBoardQueues(options: {
  redisUrl: string
  prefix: string
  logger: Logger
}): BoardQueues {
  const connection = createRedis(options.redisUrl, 'worker', options.logger)
  const queues = STAGES.map((stage, index) => {
    const queue = new Queue(stageQueueName(stage.name), { connection, prefix: options.prefix })
    queue.on('error', (error) => options.logger.debug({ event: 'queue.error', err: error }))
    const adapter = new BullMQAdapter(queue, {
      description: `Stage ${index + 1} of ${STAGES.length}: ${stage.title}`,
      displayName: `${index + 1} ${stage.title}`,
    })
    return { queue, adapter }
  })
  return {
    adapters: queues.map(({ adapter }) => adapter),
    close: async () => {
      await Promise.all(queues.map(({ queue }) => queue.close()))
      connection.disconnect()
    },
  }
}
