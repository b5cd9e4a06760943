import { STAGE_NAMES, StageName } from '@aduana/contracts/stages'
import { readDemand, type StageDemand } from '@aduana/jobs/presence'
import type { QueueView } from '@aduana/queue/observer'
import { z } from 'zod'
import type { ApiContext } from './context.ts'

/** Something that keeps jobs waiting and that an operator should know of. */
export const Warning = z.strictObject({
  /** `no_consumer`: no worker takes jobs of the stage. `queue_paused`, `queue_limited`: somebody set that in Bull Board. */
  code: z.enum(['no_consumer', 'queue_paused', 'queue_limited']),
  stage: StageName,
  /** Jobs that wait because of it. */
  waiting: z.int(),
  /** Since when the oldest of them waits. */
  since: z.iso.datetime().nullable(),
})
export type Warning = z.infer<typeof Warning>

export interface DemandWatch {
  /** What waits for each stage, and how many workers take it. */
  demand(): Promise<StageDemand[]>
  warnings(): Promise<Warning[]>
  stop(): void
}

const LOOK_MS = 15_000
const COMPLAIN_MS = 60_000
const HELD = { paused: 'queue_paused', limited: 'queue_limited' } as const

/**
 * Watches whether somebody consumes what waits, and logs `queue.no_consumer` at most once a minute while nobody does.
 * Who consumes stands in PostgreSQL; whether a queue is held stands in Redis, and is left out while that is away.
 */
export function watchDemand({
  db,
  logger,
  lookAtQueues,
}: Pick<ApiContext, 'db' | 'logger' | 'lookAtQueues'>): DemandWatch {
  let complainedAt = Number.NEGATIVE_INFINITY
  const warnings = async () => {
    const [demand, views] = await Promise.all([
      readDemand(db),
      lookAtQueues(STAGE_NAMES).catch((error: unknown): QueueView[] => {
        logger.debug({ event: 'health.queues_not_seen', err: error })
        return []
      }),
    ])
    return [...demand.flatMap(unserved), ...views.flatMap((view) => held(view, demand))]
  }
  const look = async () => {
    try {
      const alarming = (await warnings()).filter(({ code, waiting }) => code === 'no_consumer' && waiting > 0)
      if (alarming.length === 0 || performance.now() - complainedAt < COMPLAIN_MS) return
      complainedAt = performance.now()
      logger.warn({ event: 'queue.no_consumer', stages: alarming }, 'Jobs wait and no worker takes them')
    } catch (error) {
      logger.debug({ event: 'health.demand_not_seen', err: error })
    }
  }
  const timer = setInterval(() => void look(), LOOK_MS)
  timer.unref()
  return { demand: () => readDemand(db), warnings, stop: () => clearInterval(timer) }
}

function unserved({ stage, waiting, since, consumers }: StageDemand): Warning[] {
  return consumers > 0 ? [] : [{ code: 'no_consumer', stage, waiting, since: since?.toISOString() ?? null }]
}

function held({ stage, held: how, waiting }: QueueView, demand: readonly StageDemand[]): Warning[] {
  // A limit that is reached is the usual state of a limited queue, unless somebody set it to nothing.
  if (how === null || (how === 'limited' && waiting === 0)) return []
  const since = demand.find((one) => one.stage === stage)?.since?.toISOString() ?? null
  return [{ code: HELD[how], stage, waiting, since }]
}
