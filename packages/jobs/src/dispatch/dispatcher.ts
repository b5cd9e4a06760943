import type { Database } from '@aduana/db/database'
import { listen } from '@aduana/db/listen'
import type { FlowRequest, Flows } from '@aduana/queue/flow'
import { failPoint } from '@aduana/runtime/fail-points'
import type { Logger } from '@aduana/runtime/logger'
import { DISPATCH_CHANNEL } from '../lifecycle/transitions.ts'
import { admit, type DispatchLimits, wakeWaiters } from './dispatch.ts'
import { reconcile, type Suspicions } from './reconcile.ts'

export interface DispatcherOptions {
  db: Database
  /** For the connection that listens, which cannot be one of a pool. */
  databaseUrl: string
  flows: Flows
  limits: DispatchLimits
  logger: Logger
}

export interface Dispatcher {
  stop(): Promise<void>
}

const POLL_MS = 1000
const RECONCILE_MS = 2000

/**
 * Starts a dispatcher, which admits jobs from PostgreSQL to BullMQ: immediately when it is notified of one, and otherwise
 * every second. Any number of processes may run one. A step that fails is logged and repeated in the next round.
 */
export function startDispatcher(options: DispatcherOptions): Dispatcher {
  const { logger } = options
  const suspicions: Suspicions = new Map()
  const unsent: FlowRequest[] = []
  let stopped = false
  let wanted = true
  let wake: () => void = () => undefined
  let reconciledAt = 0

  const call = () => {
    wanted = true
    wake()
  }
  const listener = listen({ url: options.databaseUrl, channel: DISPATCH_CHANNEL, logger, onMessage: call })

  const round = async () => {
    await attempt('wake', () => wakeWaiters(options.db))
    await attempt('admit', () => dispatch(options, unsent))
    if (Date.now() - reconciledAt < RECONCILE_MS) return
    reconciledAt = Date.now()
    await attempt('reconcile', () => reconcile(options.db, options.flows, suspicions, logger))
  }
  const attempt = async (step: string, work: () => Promise<void>) => {
    try {
      await work()
    } catch (error) {
      logger.warn({ event: 'dispatch.round_failed', step, err: error })
    }
  }
  const pause = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, POLL_MS)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  const running = (async () => {
    while (!stopped) {
      wanted = false
      await round()
      if (!wanted && !stopped) await pause()
    }
  })()

  return {
    stop: async () => {
      stopped = true
      wake()
      await running
      await listener.close()
    },
  }
}

/** Admits jobs and enqueues their flows. Flows that Redis does not accept stay in `unsent` for the next round. */
async function dispatch(
  { db, flows, limits, logger }: DispatcherOptions,
  unsent: FlowRequest[],
): Promise<void> {
  const admitted = await admit(db, limits)
  unsent.push(...admitted)
  if (admitted.length > 0) await failPoint('dispatch.after-commit')
  for (let next = unsent[0]; next !== undefined; next = unsent[0]) {
    await flows.add(next)
    unsent.shift()
    logger.info({ event: 'dispatch.admitted', jobId: next.jobId, attempt: next.attempt })
  }
  if (admitted.length > 0) await failPoint('dispatch.after-enqueue')
}
