import { SCHEDULE_QUEUE, SCHEDULES, ScheduleName } from '@aduana/contracts/schedules'
import type { Logger } from '@aduana/runtime/logger'
import { Queue, UnrecoverableError, Worker } from 'bullmq'
import { createRedis } from './redis.ts'

/** One handler for each schedule: a missing or misspelt one does not compile. */
export type ScheduleHandlers = Record<ScheduleName, () => Promise<void>>

export interface Schedules {
  close(): Promise<void>
}

/** A Redis that has lost its data gets the schedules back within this time. */
const RESTORE_INTERVAL_MS = 60_000

/**
 * Registers the schedules in BullMQ and runs those that are due. Any number of processes may do so; each tick runs once.
 * Schedules that are no longer in the catalogue are removed.
 */
export function startSchedules(options: {
  redisUrl: string
  prefix: string
  logger: Logger
  handlers: ScheduleHandlers
}): Schedules {
  const { logger, prefix } = options
  const connection = createRedis(options.redisUrl, 'worker', logger)
  const queue = new Queue(SCHEDULE_QUEUE, { connection, prefix })
  const worker = new Worker(
    SCHEDULE_QUEUE,
    async (job) => {
      const name = ScheduleName.safeParse(job.name)
      if (!name.success) throw new UnrecoverableError(`"${job.name}" is not a schedule`)
      await options.handlers[name.data]()
      logger.info({ event: 'schedule.ran', schedule: name.data })
    },
    // Scheduler jobs are exempt from the stall limit; this bounds one that kills its worker.
    { connection, prefix, concurrency: 1, maxStartedAttempts: 3 },
  )
  queue.on('error', (error) => logger.warn({ event: 'schedule.error', err: error }))
  worker.on('error', (error) => logger.warn({ event: 'schedule.error', err: error }))
  worker.on('failed', (job, error) =>
    logger.error({ event: 'schedule.failed', schedule: job?.name, err: error }),
  )

  const restore = () =>
    register(queue).catch((error: unknown) => logger.warn({ event: 'schedule.not_registered', err: error }))
  const first = restore()
  const timer = setInterval(restore, RESTORE_INTERVAL_MS)

  return {
    close: async () => {
      clearInterval(timer)
      await first
      await worker.close()
      await queue.close()
      connection.disconnect()
    },
  }
}

async function register(queue: Queue): Promise<void> {
  for (const { name, pattern, timeZone } of SCHEDULES)
    await queue.upsertJobScheduler(
      name,
      { pattern, tz: timeZone },
      {
        name,
        opts: {
          removeOnComplete: { age: 7 * 86_400, count: 200 },
          removeOnFail: { age: 7 * 86_400, count: 200 },
        },
      },
    )
  const known = new Set<string>(SCHEDULES.map(({ name }) => name))
  for (const scheduler of await queue.getJobSchedulers())
    if (!known.has(scheduler.key)) await queue.removeJobScheduler(scheduler.key)
}
