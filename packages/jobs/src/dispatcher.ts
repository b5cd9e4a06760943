import type { Database } from '@aduana/db/database'
import { listen } from '@aduana/db/listen'
import type { Flows } from '@aduana/queue/flow'
import { failPoint } from '@aduana/runtime/fail-points'
import type { Logger } from '@aduana/runtime/logger'
import { admit, type DispatchLimits, wakeWaiters } from './dispatch.ts'
import { reconcile, type Suspicions } from './reconcile.ts'
import { DISPATCH_CHANNEL } from './transitions.ts'

export interface DispatcherOptions {
  db: Database
  /** For the connection that listens; a pool's connection would not keep listening. */
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
 * Admits jobs from PostgreSQL to BullMQ: at once when it is told of one, and every second anyhow. Any number of
 * processes may run one. Whatever fails in a round is tried again in the next.
 */
export function startDispatcher(options: DispatcherOptions): Dispatcher {
  const { logger } = options
  const suspicions: Suspicions = new Map()
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
    await attempt('admit', () => dispatch(options))
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

async function dispatch({ db, flows, limits, logger }: DispatcherOptions): Promise<void> {
  const requests = await admit(db, limits)
  if (requests.length > 0) await failPoint('dispatch.after-commit')
  for (const request of requests) {
    await flows.add(request)
    logger.info({ event: 'dispatch.admitted', jobId: request.jobId, attempt: request.attempt })
  }
  if (requests.length > 0) await failPoint('dispatch.after-enqueue')
}
