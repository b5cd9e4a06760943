import type { Logger } from '@aduana/runtime/logger'
import { type Processor, Worker, type WorkerOptions } from 'bullmq'

/** Without a session, a job of a dead worker is recovered after at most `lockDuration` + `stalledInterval`. */
const LOCKS = { lockDuration: 10_000, stalledInterval: 3000, maxStalledCount: 3 } as const

/** Starts a worker of a queue. What BullMQ reports of it is logged. */
export function startWorker(
  queue: string,
  process: Processor,
  { logger, ...options }: WorkerOptions & { logger: Logger },
): Worker {
  const worker = new Worker(queue, process, { ...LOCKS, ...options })
  worker.on('error', (error) => logger.warn({ event: 'queue.worker_error', err: error }))
  worker.on('stalled', (id) => logger.warn({ event: 'queue.stalled', queueJob: id }))
  // The work continues without the lock of BullMQ: PostgreSQL decides who may commit. Redis may just have lost its data.
  worker.on('lockRenewalFailed', (ids) => logger.warn({ event: 'queue.lock_lost', queueJobs: ids }))
  return worker
}
