import { STAGES, type StageName, StagePayload, stageQueueName } from '@aduana/contracts/stages'
import { failPoint } from '@aduana/runtime/fail-points'
import type { Logger } from '@aduana/runtime/logger'
import { DelayedError, type Job, MetricsTime, UnrecoverableError, WaitingError, type Worker } from 'bullmq'
import type { StageOutcome } from './outcome.ts'
import { createRedis } from './redis.ts'
import { startWorker } from './worker.ts'

/** What a handler knows about the delivery, besides the payload. */
export interface Delivery {
  /** Aborted when the process stops. */
  signal: AbortSignal
  /** True if a `retry` would not be retried. */
  lastTry: boolean
}

/** One handler for each stage: a missing or misspelt one does not compile. */
export type StageHandlers = Record<
  StageName,
  (payload: StagePayload, delivery: Delivery) => Promise<StageOutcome>
>

export interface StageWorkersOptions {
  redisUrl: string
  prefix: string
  /** Name of the worker process. BullMQ records it in the jobs that the process takes. */
  worker: string
  logger: Logger
  handlers: StageHandlers
  /** Concurrent jobs of each stage that this process serves. */
  concurrency: Partial<Record<StageName, number>>
  /** Called when BullMQ fails a job because its worker died too often. */
  onLost: (payload: StagePayload, stage: StageName, reason: string) => Promise<void>
}

/** How this process consumes a stage. */
export interface Consumption {
  stage: StageName
  /** Maximum number of concurrent jobs. */
  slots: number
  /** Ids of the active jobs; the queue id of one with an invalid payload. */
  inWork: readonly string[]
  /** Number of deliveries since the start. */
  taken: number
  /** False after its loop has ended: it takes no more jobs. */
  looping: boolean
}

export interface StageWorkers {
  /** Returns how this process consumes each stage, for the watchdog. */
  consumption(): Consumption[]
  /** Stops taking jobs and returns active ones to the queue without spending a try. Resolves when they are returned. */
  close(): Promise<void>
}

interface Tally {
  taken: number
  inWork: Map<symbol, string>
}

interface Consumer {
  stage: StageName
  slots: number
  tally: Tally
  worker: Worker
}

/** Starts to consume the stages in `concurrency`. */
export function startStageWorkers(options: StageWorkersOptions): StageWorkers {
  const connection = createRedis(options.redisUrl, 'worker', options.logger)
  let stopping = false
  const consumers = STAGES.flatMap(({ name }) => {
    const concurrency = options.concurrency[name]
    return concurrency === undefined ? [] : [startConsumer(name, concurrency)]
  })
  const workers = consumers.map(({ worker }) => worker)

  function startConsumer(stage: StageName, slots: number): Consumer {
    const tally = { taken: 0, inWork: new Map<symbol, string>() }
    return { stage, slots, tally, worker: startStageWorker(stage, slots, tally) }
  }

  function startStageWorker(stage: StageName, concurrency: number, tally: Tally): Worker {
    const logger = options.logger.child({ stage })
    // Exactly three parameters: BullMQ passes the signal only to a function that declares it.
    const process = async (job: Job, token: string | undefined, signal?: AbortSignal) => {
      const slot = Symbol(job.id)
      tally.taken += 1
      tally.inWork.set(slot, StagePayload.safeParse(job.data).data?.jobId ?? job.id ?? '')
      try {
        return await processStage({
          stage,
          job,
          token,
          signal: signal ?? new AbortController().signal,
          isStopping: () => stopping,
          logger,
          options,
        })
      } finally {
        tally.inWork.delete(slot)
      }
    }
    const worker = startWorker(stageQueueName(stage), process, {
      connection,
      prefix: options.prefix,
      name: options.worker,
      concurrency,
      metrics: { maxDataPoints: MetricsTime.ONE_WEEK },
      logger,
    })
    worker.on('completed', () => void failPoint('queue.after-acknowledge', stage))
    worker.on('failed', (job, error) => {
      const payload = StagePayload.safeParse(job?.data)
      // Failures of the handler are already recorded; this records those that the handler could not see.
      if (payload.success && job && /stalled more than|started more than/.test(error.message))
        options
          .onLost(payload.data, stage, error.message)
          .catch((failure: unknown) => logger.error({ event: 'queue.lost_not_recorded', err: failure }))
    })
    return worker
  }

  return {
    consumption: () =>
      consumers.map(({ stage, slots, tally, worker }) => ({
        stage,
        slots,
        inWork: [...tally.inWork.values()],
        taken: tally.taken,
        looping: worker.isRunning(),
      })),
    close: async () => {
      stopping = true
      const closing = workers.map((worker) => worker.close())
      for (const worker of workers) worker.cancelAllJobs('the process stops')
      await Promise.all(closing)
      connection.disconnect()
    },
  }
}

interface Processing {
  stage: StageName
  job: Job
  token: string | undefined
  signal: AbortSignal
  isStopping: () => boolean
  logger: Logger
  options: StageWorkersOptions
}

async function processStage(processing: Processing): Promise<string> {
  const { stage, job, signal, logger, options } = processing
  const payload = StagePayload.safeParse(job.data)
  if (!payload.success) {
    logger.error({ event: 'queue.bad_payload', queueJob: job.id, issues: payload.error.issues })
    throw new UnrecoverableError(`The payload of the stage is invalid: ${payload.error.message}`)
  }
  const lastTry = job.attemptsMade + 1 >= (job.opts.attempts ?? 1)
  const outcome = await options.handlers[stage](payload.data, { signal, lastTry })
  await failPoint('queue.before-acknowledge', stage)
  return acknowledge(outcome, processing)
}

/** Translates a stage outcome into the result for BullMQ. */
async function acknowledge(outcome: StageOutcome, { job, token, isStopping }: Processing): Promise<string> {
  switch (outcome.kind) {
    case 'done':
      return 'done'
    case 'stop':
      return outcome.reason
    case 'snooze':
      await job.moveToDelayed(Date.now() + outcome.milliseconds, token)
      throw new DelayedError(outcome.reason)
    case 'retry':
      if (isStopping()) {
        // A stopping process returns the job without spending a try.
        await job.moveToWait(token)
        throw new WaitingError()
      }
      throw outcome.error
    case 'fail':
      throw new UnrecoverableError(`${outcome.failure.code}: ${outcome.failure.detail}`)
  }
}
