import { STAGES, type StageName, StagePayload, stageQueueName } from '@aduana/contracts/stages'
import type { Logger } from '@aduana/runtime/logger'
import { type FlowJob, FlowProducer, type JobState, Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { createRedis, onReadyConnection } from './redis.ts'
import { RETRY_BACKOFF } from './retry-backoff.ts'

const DAY_SECONDS = 86_400

/**
 * The state of a stage in BullMQ. `missing`: it has no such job. `far-delayed`: it is delayed for longer than any retry, by
 * hand or by a process whose clock is wrong.
 */
export type StageJobState = JobState | 'missing' | 'far-delayed'

const MAX_DELAY_MS = 15 * 60_000

export interface FlowRequest extends StagePayload {
  /** Shown in Bull Board beside the stage: "production #12". */
  title: string
  /** The remaining stages, in order. */
  stages: readonly StageName[]
}

export interface Flows {
  /** Adds the flow of an attempt: all its jobs or none. Adding it again does nothing. @throws QueueUnavailableError */
  add(request: FlowRequest): Promise<void>
  /** Returns the deliveries that a worker has taken and not acknowledged. @throws QueueUnavailableError */
  heldBy(worker: string): Promise<StagePayload[]>
  /** Returns the state of each stage of an attempt. @throws QueueUnavailableError */
  states(payload: StagePayload, stages: readonly StageName[]): Promise<StageJobState[]>
  /** Returns the number of waiting jobs and of workers of each stage. @throws QueueUnavailableError */
  waiting(): Promise<{ stage: StageName; waiting: number; workers: number }[]>
  close(): Promise<void>
}

/** Returns the BullMQ id of a stage of an attempt, so that adding it again does nothing. */
function stageJobId(payload: StagePayload, stage: StageName): string {
  return `${payload.jobId}_${payload.attempt}_${stage}`
}

/** Returns the flow of an attempt, inside out: the last stage is the root, and each stage waits for the one before. */
export function buildFlow(request: FlowRequest): FlowJob {
  const payload = StagePayload.parse({ jobId: request.jobId, attempt: request.attempt })
  const nodes = STAGES.filter((stage) => request.stages.includes(stage.name))
  const [first, ...rest] = nodes.map((stage, index) => ({
    name: `${stage.title}: ${request.title}`,
    queueName: stageQueueName(stage.name),
    data: payload,
    opts: {
      jobId: stageJobId(payload, stage.name),
      attempts: stage.attempts,
      backoff: RETRY_BACKOFF,
      sizeLimit: 4096,
      removeOnComplete: { age: DAY_SECONDS, count: 2000 },
      // Never `true`: a failed child that is removed releases its parent.
      removeOnFail: { age: 7 * DAY_SECONDS, count: 5000 },
      ...(index < nodes.length - 1 ? { failParentOnFailure: true } : {}),
    },
  }))
  if (!first) throw new Error(`a flow of job ${request.jobId} without stages`)
  return rest.reduce<FlowJob>((child, node) => ({ ...node, children: [child] }), first)
}

interface Producer {
  flows: FlowProducer
  queueOf(stage: StageName): Queue
  close(): Promise<void>
}

/** Creates the producer of the queues. Calls fail at once with `QueueUnavailableError` when Redis is not available. */
export function createFlows(options: { redisUrl: string; prefix: string; logger: Logger }): Flows {
  const connection = createRedis(options.redisUrl, 'producer', options.logger)
  const { open, close } = onReadyConnection(
    connection,
    () => createProducer(connection, options.prefix, options.logger),
    ({ flows }) => flows.waitUntilReady(),
  )
  return {
    add: async (request) => {
      const { flows } = await open()
      await flows.add(buildFlow(request))
    },
    states: async (payload, stages) => {
      const { queueOf } = await open()
      return Promise.all(
        stages.map(async (stage) => {
          const queue = queueOf(stage)
          const id = stageJobId(payload, stage)
          const state = (await (await queue.getJob(id))?.getState()) ?? 'unknown'
          if (state === 'delayed' && (await delayOf(connection, queue, id)) > MAX_DELAY_MS)
            return 'far-delayed'
          return state === 'unknown' ? 'missing' : state
        }),
      )
    },
    heldBy: async (worker) => {
      const { queueOf } = await open()
      const active = await Promise.all(STAGES.map(({ name }) => queueOf(name).getActive()))
      return active.flat().flatMap((job) => {
        // A job that was removed meanwhile is undefined, whatever its type says.
        if (job?.processedBy !== worker) return []
        const payload = StagePayload.safeParse(job.data)
        return payload.success ? [payload.data] : []
      })
    },
    waiting: async () => {
      const { queueOf } = await open()
      return Promise.all(
        STAGES.map(async ({ name }) => {
          const [counts, workers] = await Promise.all([
            queueOf(name).getJobCounts('waiting', 'prioritized'),
            queueOf(name).getWorkersCount(),
          ])
          return { stage: name, waiting: (counts.waiting ?? 0) + (counts.prioritized ?? 0), workers }
        }),
      )
    },
    close,
  }
}

/** Returns the milliseconds until a delayed job is due. */
async function delayOf(redis: Redis, queue: Queue, id: string): Promise<number> {
  const score = await redis.zscore(queue.toKey('delayed'), id)
  // BullMQ keeps the order of jobs that are due at the same time in the lowest 12 bits.
  return score === null ? 0 : Math.max(0, Number(score) / 0x1000 - Date.now())
}

function createProducer(connection: Redis, prefix: string, logger: Logger): Producer {
  const settings = { connection, prefix }
  const flows = new FlowProducer(settings)
  const queues = new Map(STAGES.map((stage) => [stage.name, new Queue(stageQueueName(stage.name), settings)]))
  const onError = (error: Error) => logger.debug({ event: 'queue.error', err: error })
  flows.on('error', onError)
  for (const queue of queues.values()) queue.on('error', onError)
  return {
    flows,
    queueOf: (stage) => {
      const queue = queues.get(stage)
      if (!queue) throw new Error(`no queue for stage ${stage}`)
      return queue
    },
    close: async () => {
      await Promise.all([flows.close(), ...[...queues.values()].map((queue) => queue.close())])
    },
  }
}
