import { STAGES, type StageName, StagePayload, stageQueueName } from '@aduana/contracts/stages'
import { failPoint } from '@aduana/runtime/fail-points'
import type { Logger } from '@aduana/runtime/logger'
import { DelayedError, type Job, MetricsTime, UnrecoverableError, WaitingError, Worker } from 'bullmq'
import type { StageOutcome } from './outcome.ts'
import { createRedis } from './redis.ts'

/** Beside the payload, what a stage may need to know of its delivery. */
export interface Delivery {
  /** Aborted when the process stops. */
  signal: AbortSignal
  /** True when a `retry` would not be tried again. */
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
  /** Jobs at once for each stage that this process serves. */
  concurrency: Partial<Record<StageName, number>>
  /** The work of an attempt was given up by BullMQ: its worker died too often. */
  onLost: (payload: StagePayload, stage: StageName, reason: string) => Promise<void>
}

/** How this process consumes one stage. */
export interface Consumption {
  stage: StageName
  /** Jobs that it may work on at once. */
  slots: number
  /** Ids of our jobs on which it works; one that has no good payload counts by the id in the queue. */
  inWork: readonly string[]
  /** Deliveries taken since the start. */
  taken: number
  /** False once its loop has ended: it takes no more jobs. */
  looping: boolean
}

export interface StageWorkers {
  /** What this process takes, for those who watch whether it does. */
  consumption(): Consumption[]
  /** Stop taking jobs, hand back those in work without spending a try, and wait until they are. */
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

// Where no session tells of a death, a job whose worker died is taken over after at most lockDuration + stalledInterval.
const LOCK_MS = 10_000
const STALLED_CHECK_MS = 3000
const STALLS_ALLOWED = 3

/** Start consuming the stages that `concurrency` names. */
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
    return { stage, slots, tally, worker: startWorker(stage, slots, tally) }
  }

  function startWorker(stage: StageName, concurrency: number, tally: Tally): Worker {
    const logger = options.logger.child({ stage })
    // Exactly three parameters: BullMQ hands over the signal only to a function that declares it.
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
    const worker = new Worker(stageQueueName(stage), process, {
      connection,
      prefix: options.prefix,
      name: options.worker,
      concurrency,
      lockDuration: LOCK_MS,
      stalledInterval: STALLED_CHECK_MS,
      maxStalledCount: STALLS_ALLOWED,
      metrics: { maxDataPoints: MetricsTime.ONE_WEEK },
    })
    worker.on('error', (error) => logger.warn({ event: 'queue.worker_error', err: error }))
    worker.on('stalled', (id) => logger.warn({ event: 'queue.stalled', queueJob: id }))
    // Losing BullMQ's lock is no reason to stop: the heartbeat in PostgreSQL keeps others from the stage, and its commit
    // is fenced. Redis may just have lost its data.
    worker.on('lockRenewalFailed', (ids) => logger.warn({ event: 'queue.lock_lost', queueJobs: ids }))
    worker.on('completed', () => void failPoint('queue.after-acknowledge', stage))
    worker.on('failed', (job, error) => {
      const payload = StagePayload.safeParse(job?.data)
      // Failures that our own handler has seen are already recorded; this is for those that it could not see.
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

/** Outcome → what BullMQ is told. The only place where the two meet. */
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
        // A stopping process gives the job back as if it had never been taken: no try is spent.
        await job.moveToWait(token)
        throw new WaitingError()
      }
      throw outcome.error
    case 'fail':
      throw new UnrecoverableError(`${outcome.failure.code}: ${outcome.failure.detail}`)
  }
}
