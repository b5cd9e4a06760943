import { randomUUID } from 'node:crypto'
import type { QueueMessage } from '@aduana/messaging/sqs-queue'
import { createLogger } from '@aduana/runtime/logger'
import type { InboxContext } from '../inbox/refused.ts'
import { type Flow, sumOf } from './flow.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })

/** Returns the context of the inbox in a test. */
export function inboxOf(flow: Flow): InboxContext {
  return { db: flow.db, logger, queue: 'https://sqs.test/events' }
}

/** Returns a message as a queue delivers it. */
export function message(text: string, id = randomUUID(), receives = 1): QueueMessage {
  return { id, text, receives }
}

/** Returns a message with an event. */
export function event(type: string, data: unknown): QueueMessage {
  return message(JSON.stringify({ specversion: '1.0', id: randomUUID(), source: '/test', type, data }))
}

export const started = (data: object) => event('aduana.metric_run.started', { runner: 'test', ...data })
export const heartbeat = (data: object) => event('aduana.metric_run.heartbeat', data)
export const completed = (data: object) => event('aduana.metric_run.completed', data)
export const updated = (data: object) => event('aduana.projection.updated', data)

/** Returns a message with an update of `production`. */
export const update = (more: object = {}) => ({
  eventKey: randomUUID(),
  dataset: 'production',
  occurredAt: new Date().toISOString(),
  days: [{ from: '2026-03-09', to: '2026-03-10' }],
  rows: 1,
  ...more,
})

/** Saves metrics with external runners over `production`. */
export async function saveExternal(flow: Flow, ...codes: string[]): Promise<void> {
  const expression = sumOf(['production'])
  await flow.save(Object.fromEntries(codes.map((code) => [code, { expression, runner: 'external' }])))
}

/** Returns the fields that events of a run share. */
export const ofRun = ({ id, attempt = 1 }: { id: string; attempt?: number }) => ({
  runId: id,
  attempt,
  at: new Date().toISOString(),
})

/** Terminates the connections that wait for a lock. Returns whether there was one. */
export async function terminateLockWaiters({ pool }: Flow): Promise<boolean> {
  const ended = await pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock'`,
  )
  return ended.rowCount !== 0
}
