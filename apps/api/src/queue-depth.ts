import { STAGE_NAMES, StageName } from '@aduana/contracts/stages'
import { type QueueDepth, readQueueDepth } from '@aduana/jobs/workers/worker-registry'
import type { QueueView } from '@aduana/queue/observer'
import { z } from 'zod'
import type { ApiContext } from './context.ts'

/** A condition that keeps jobs waiting and that an operator should know. */
export const Warning = z.strictObject({
  /** `no_consumer`: no worker serves the stage. `queue_paused`, `queue_limited`: set in Bull Board. */
  code: z.enum(['no_consumer', 'queue_paused', 'queue_limited']),
  stage: StageName,
  /** Number of jobs that wait because of it. */
  waiting: z.int(),
  /** When the oldest of them started to wait. */
  since: z.iso.datetime().nullable(),
})
export type Warning = z.infer<typeof Warning>

export interface QueueDepthWatch {
  /** Returns the queue depth and the number of consumers of each stage. */
  depths(): Promise<QueueDepth[]>
  warnings(): Promise<Warning[]>
  stop(): void
}

const POLL_INTERVAL_MS = 15_000
const LOG_INTERVAL_MS = 60_000
const HELD = { paused: 'queue_paused', limited: 'queue_limited' } as const

/**
 * Watches the queue depth, and logs `queue.no_consumer` at most once a minute while jobs wait for a stage that no worker
 * serves. Consumers are read from PostgreSQL. Paused and limited queues are read from Redis, and left out when it is down.
 */
export function watchQueueDepth({
  db,
  logger,
  observeQueues,
}: Pick<ApiContext, 'db' | 'logger' | 'observeQueues'>): QueueDepthWatch {
  let loggedAt = Number.NEGATIVE_INFINITY
  const warnings = async () => {
    const [demand, views] = await Promise.all([
      readQueueDepth(db),
      observeQueues(STAGE_NAMES).catch((error: unknown): QueueView[] => {
        logger.debug({ event: 'health.queues_not_seen', err: error })
        return []
      }),
    ])
    return [...demand.flatMap(withoutConsumer), ...views.flatMap((view) => held(view, demand))]
  }
  const poll = async () => {
    try {
      const unserved = (await warnings()).filter(({ code, waiting }) => code === 'no_consumer' && waiting > 0)
      if (unserved.length === 0 || performance.now() - loggedAt < LOG_INTERVAL_MS) return
      loggedAt = performance.now()
      logger.warn(
        { event: 'queue.no_consumer', stages: unserved },
        'Jobs are waiting, but no worker serves their stage',
      )
    } catch (error) {
      logger.debug({ event: 'health.demand_not_seen', err: error })
    }
  }
  const timer = setInterval(() => void poll(), POLL_INTERVAL_MS)
  timer.unref()
  return { depths: () => readQueueDepth(db), warnings, stop: () => clearInterval(timer) }
}

function withoutConsumer({ stage, waiting, since, consumers }: QueueDepth): Warning[] {
  return consumers > 0 ? [] : [{ code: 'no_consumer', stage, waiting, since: since?.toISOString() ?? null }]
}

function held({ stage, held: how, waiting }: QueueView, demand: readonly QueueDepth[]): Warning[] {
  // A limited queue is usually at its limit. Only one where jobs also wait is worth a warning.
  if (how === null || (how === 'limited' && waiting === 0)) return []
  const since = demand.find((one) => one.stage === stage)?.since?.toISOString() ?? null
  return [{ code: HELD[how], stage, waiting, since }]
}
