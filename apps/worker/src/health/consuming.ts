import type { Database } from '@aduana/db/database'
import { countAliveAttempts, recordWorkerHeartbeat } from '@aduana/jobs/workers/worker-registry'
import type { QueueObserver, QueueView } from '@aduana/queue/observer'
import type { Consumption, StageWorkers } from '@aduana/queue/stage-workers'
import type { Logger } from '@aduana/runtime/logger'
import { startPollLoop } from '@aduana/runtime/poll-loop'
import { createStuckDetector, type StageObservation, type StuckStage } from './stuck-detector.ts'

export interface ConsumingOptions {
  db: Database
  observer: QueueObserver
  workers: Pick<StageWorkers, 'consumption'>
  /** The id of this worker in stage attempts and in the worker registry. */
  worker: string
  logger: Logger
  /** Seconds that jobs may wait for a worker that could take them. */
  patienceSeconds: number
}

/** The health of this worker. */
export interface ConsumingState {
  /** False once the worker has been found not to take jobs. */
  live: boolean
  /** True while its last heartbeat is recent, which means that Redis and PostgreSQL respond and it takes jobs. */
  ready: boolean
}

export interface ConsumingWatch {
  state(): ConsumingState
  /** Resolves when this worker has stopped taking jobs while jobs wait. The process should exit to be restarted. */
  stuck: Promise<StuckStage>
  /** Stops watching, and records that this worker takes no more jobs. */
  stop(): Promise<void>
}

const POLL_MS = 3000
const HEARTBEAT_MS = 5000
const READY_MS = 15_000
/** A stage that has looked wrong for this long is left out of the heartbeat. */
const SUSPECT_SECONDS = 10
const REPEATED_WARNING_MS = 60_000

/**
 * Watches whether this worker takes jobs. It does not when jobs wait in Redis and slots are free here, but none is taken.
 * While it takes jobs, it writes heartbeats to the worker registry.
 */
export function watchConsuming(options: ConsumingOptions): ConsumingWatch {
  const { db, worker, logger } = options
  const detector = createStuckDetector(POLL_MS, () => performance.now())
  const warn = limitWarnings(logger)
  let heartbeatAt = Number.NEGATIVE_INFINITY
  let live = true
  let found: (stage: StuckStage) => void = () => undefined
  const stuck = new Promise<StuckStage>((resolve) => {
    found = resolve
  })

  const poll = async () => {
    const consumption = options.workers.consumption()
    const views = await options.observer.observe(consumption.map(({ stage }) => stage))
    const observations = await Promise.all(consumption.map((one) => observe(one, views, options)))
    for (const { stage, held, waiting } of observations)
      if (held !== null && waiting > 0)
        warn(`${held} ${stage}`, { event: 'worker.queue_held', stage, held, waiting })
    const stuckStages = detector.observe(observations)
    const worst = stuckStages.find(
      ({ fault, seconds }) => fault === 'loop_ended' || seconds >= options.patienceSeconds,
    )
    if (worst && live) {
      live = false
      found(worst)
    }
    const suspect = stuckStages.filter(({ seconds }) => seconds >= SUSPECT_SECONDS).map(({ stage }) => stage)
    const serving = observations.filter(({ looping, stage }) => looping && !suspect.includes(stage))
    if (live && serving.length > 0 && performance.now() - heartbeatAt >= HEARTBEAT_MS) {
      await recordWorkerHeartbeat(
        db,
        worker,
        serving.map(({ stage }) => stage),
      )
      heartbeatAt = performance.now()
    }
  }
  const pollLoop = startPollLoop({
    intervalMs: POLL_MS,
    poll,
    onError: (error) => {
      detector.reset()
      warn('cannot watch', { event: 'worker.cannot_watch', err: error })
    },
  })

  return {
    stuck,
    state: () => ({ live, ready: live && performance.now() - heartbeatAt < READY_MS }),
    stop: async () => {
      await pollLoop.stop()
      await recordWorkerHeartbeat(db, worker, [])
    },
  }
}

async function observe(
  { stage, slots, inWork, taken, looping }: Consumption,
  views: readonly QueueView[],
  { db, worker }: Pick<ConsumingOptions, 'db' | 'worker'>,
): Promise<StageObservation> {
  const view = views.find((one) => one.stage === stage)
  const waiting = view?.waiting ?? 0
  const used = inWork.length
  const matters = used >= slots && waiting > 0
  const alive = matters ? await countAliveAttempts(db, worker, inWork) : used
  return { stage, looping, slots, used, alive, taken, waiting, held: view?.held ?? null }
}

/** Returns a function that logs the same warning at most once a minute. */
function limitWarnings(logger: Logger): (what: string, entry: Record<string, unknown>) => void {
  const lastAt = new Map<string, number>()
  return (what, entry) => {
    const last = lastAt.get(what)
    if (last !== undefined && performance.now() - last < REPEATED_WARNING_MS) return
    lastAt.set(what, performance.now())
    logger.warn(entry)
  }
}
