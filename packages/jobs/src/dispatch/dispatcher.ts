import type { Database } from '@aduana/db/database'
import { startNotifiedPollLoop } from '@aduana/db/notified-poll-loop'
import type { FlowRequest, Flows } from '@aduana/queue/flow'
import { QueueUnavailableError } from '@aduana/queue/redis'
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
  const unsent: UnsentFlows = new Map()
  let reconciledAt = 0

  const attempt = async (step: string, work: () => Promise<void>) => {
    try {
      await work()
    } catch (error) {
      logger.warn({ event: 'dispatch.round_failed', step, err: error })
    }
  }
  return startNotifiedPollLoop({
    url: options.databaseUrl,
    channel: DISPATCH_CHANNEL,
    logger,
    intervalMs: POLL_MS,
    poll: async () => {
      await attempt('wake', () => wakeWaiters(options.db))
      await attempt('admit', () => dispatch(options, unsent))
      if (Date.now() - reconciledAt < RECONCILE_MS) return
      reconciledAt = Date.now()
      await attempt('reconcile', () => reconcile(options.db, options.flows, suspicions, logger))
    },
    onError: (error) => logger.warn({ event: 'dispatch.round_failed', err: error }),
  })
}

/** The flows of admitted jobs that Redis has not accepted, by job, in the order of admission. */
type UnsentFlows = Map<string, FlowRequest>

/** Admits jobs and enqueues their flows, with those that earlier rounds could not send. */
async function dispatch(
  { db, flows, limits, logger }: DispatcherOptions,
  unsent: UnsentFlows,
): Promise<void> {
  const admitted = await admit(db, limits)
  for (const flow of admitted) {
    // The flow of an earlier attempt is out of date.
    unsent.delete(flow.jobId)
    unsent.set(flow.jobId, flow)
  }
  if (admitted.length > 0) await failPoint('dispatch.after-commit')
  await sendFlows(flows, unsent, logger)
  if (admitted.length > 0) await failPoint('dispatch.after-enqueue')
}

/**
 * Sends flows in order, and removes those that Redis has accepted from `unsent`. A flow that cannot be sent is kept for the
 * next round and does not delay the others.
 * @throws QueueUnavailableError when Redis is not available; the remaining flows are kept
 */
async function sendFlows(flows: Flows, unsent: UnsentFlows, logger: Logger): Promise<void> {
  for (const flow of [...unsent.values()]) {
    const { jobId, attempt } = flow
    try {
      await flows.add(flow)
    } catch (error) {
      if (error instanceof QueueUnavailableError) throw error
      logger.warn({ event: 'dispatch.flow_not_sent', jobId, attempt, err: error })
      continue
    }
    unsent.delete(jobId)
    logger.info({ event: 'dispatch.admitted', jobId, attempt })
  }
}
