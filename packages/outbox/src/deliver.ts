import { CloudEvent } from '@aduana/contracts/metrics/events'
import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import { backoff } from '@aduana/runtime/backoff'
import { failPoint } from '@aduana/runtime/fail-points'
import type { Logger } from '@aduana/runtime/logger'
import { sql } from 'kysely'
import type { Destination, OutboundEvent } from './destination.ts'

/** What a delivery needs. */
export interface DeliverOptions {
  db: Database
  destinations: readonly Destination[]
  logger: Logger
  /** Maximum events of a batch. */
  limit?: number
  /** Timeout of a destination for a batch, in milliseconds. */
  timeoutMs?: number
}

/** The numbers of events that were sent and that failed. */
export interface Delivered {
  sent: number
  failed: number
}

const BATCH = 500
/**
 * A destination gets a quarter more to report what it has accepted. Together this is less than the time after which
 * PostgreSQL ends an idle transaction.
 */
const TIMEOUT_MS = 8000
/** Bounds of the time until the next attempt, to which up to a quarter is added at random. */
const BACKOFF_SECONDS = { first: 1, longest: 60 }

/**
 * Delivers one batch of due events, oldest first. Returns how many were sent and how many failed. Any number of
 * processes may deliver: the rows of a batch stay locked until it is done, and are free again at once when a process
 * dies. Events that failed are due again after a backoff.
 */
export function deliver(options: DeliverOptions): Promise<Delivered> {
  const { db, destinations, logger } = options
  return inTransaction(db, async (tx) => {
    const rows = await lockDueEvents(tx, options.limit ?? BATCH)
    if (rows.length === 0) return { sent: 0, failed: 0 }
    const errors = new Map<string, string>()
    const events = rows.flatMap((row) => parseEvent(row, errors))
    const wanted = destinations.map((destination) => ({
      destination,
      events: wantedBy(destination, events, errors),
    }))
    failUnwanted(events, wanted, errors)
    const parts = await Promise.all(wanted.map((part) => expand(tx, part, errors)))
    await Promise.all(parts.map((part) => sendTo(part, errors, options)))
    await failPoint('outbox.after-send')
    const sent = events.filter(({ id }) => !errors.has(id)).map(({ id }) => id)
    await markSent(tx, sent)
    await markFailed(tx, rows, errors)
    logger.info({ event: 'outbox.delivered', sent: sent.length, failed: errors.size })
    return { sent: sent.length, failed: errors.size }
  })
}

interface Row {
  id: string
  event_key: string
  type: string
  body: unknown
  /** Attempts so far, all of which have failed. */
  send_attempts: number
}

async function lockDueEvents(tx: Tx, limit: number): Promise<Row[]> {
  const rows = await sql<Row>`select id, event_key, type, body, send_attempts from event_log
    where outbound and sent_at is null and (send_after is null or send_after <= clock_timestamp())
    order by id limit ${limit} for no key update skip locked`.execute(tx)
  return rows.rows
}

/** Returns the event of a row. A row that is no CloudEvent is marked with the error and does not delay others. */
function parseEvent({ id, event_key: key, type, body }: Row, errors: Map<string, string>): OutboundEvent[] {
  const parsed = CloudEvent.safeParse(body)
  if (parsed.success) return [{ id, key, type, body: parsed.data }]
  errors.set(id, `not a CloudEvent: ${parsed.error.message}`.slice(0, 2000))
  return []
}

interface Part {
  destination: Destination
  events: readonly OutboundEvent[]
}

function fail(errors: Map<string, string>, id: string, reason: string): void {
  const before = errors.get(id)
  errors.set(id, (before === undefined ? reason : `${before}; ${reason}`).slice(0, 2000))
}

function failAt({ name }: Destination, errors: Map<string, string>, id: string, error: unknown): void {
  fail(errors, id, `${name}: ${error instanceof Error ? error.message : String(error)}`)
}

function wantedBy(
  destination: Destination,
  events: readonly OutboundEvent[],
  errors: Map<string, string>,
): OutboundEvent[] {
  return events.filter((event) => {
    try {
      return destination.wants(event)
    } catch (error) {
      failAt(destination, errors, event.id, error)
      return false
    }
  })
}

/** Returns the events in the form of the destination. An event that it leaves out cannot be sent and is marked so. */
async function expand(tx: Tx, part: Part, errors: Map<string, string>): Promise<Part> {
  const { destination } = part
  if (!destination.expand) return part
  const events = await destination.expand(tx, part.events)
  const kept = new Set(events.map(({ id }) => id))
  for (const { id } of part.events)
    if (!kept.has(id)) fail(errors, id, `${destination.name}: the subject of the event no longer exists`)
  return { ...part, events }
}

/** Marks events that no destination of this process accepts. They wait for a process that has one. */
function failUnwanted(
  events: readonly OutboundEvent[],
  parts: readonly Part[],
  errors: Map<string, string>,
): void {
  const wanted = new Set(parts.flatMap((part) => part.events.map(({ id }) => id)))
  for (const { id } of events)
    if (!wanted.has(id) && !errors.has(id))
      fail(errors, id, 'no destination accepts the event: set ADUANA_SNS_TOPIC_ARN for every worker')
}

async function sendTo(
  { destination, events: wanted }: Part,
  errors: Map<string, string>,
  { logger, timeoutMs = TIMEOUT_MS }: DeliverOptions,
): Promise<void> {
  if (wanted.length === 0) return
  try {
    const refused = await withTimeout(timeoutMs, (signal) => destination.send(wanted, signal))
    for (const [id, error] of refused) failAt(destination, errors, id, error)
    if (refused.size > 0)
      logger.warn({ event: 'outbox.partly_failed', destination: destination.name, events: refused.size })
  } catch (error) {
    for (const { id } of wanted) failAt(destination, errors, id, error)
    logger.warn({
      event: 'outbox.delivery_failed',
      destination: destination.name,
      events: wanted.length,
      err: error,
    })
  }
}

/**
 * Runs work with a timeout. The signal aborts at the timeout; the work then has a quarter more to return what it has
 * done.
 */
async function withTimeout<T>(timeoutMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const timedOut = new AbortController()
  const timers: NodeJS.Timeout[] = []
  const expired = new Promise<never>((_, reject) => {
    const error = new Error(`no response within ${timeoutMs} ms`)
    timers.push(setTimeout(() => timedOut.abort(error), timeoutMs))
    timers.push(setTimeout(() => reject(error), timeoutMs * 1.25))
  })
  try {
    return await Promise.race([work(timedOut.signal), expired])
  } finally {
    for (const timer of timers) clearTimeout(timer)
  }
}

async function markSent(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await sql`update event_log set sent_at = clock_timestamp(), send_attempts = send_attempts + 1, send_after = null,
    send_error = null where id = any (${ids}::bigint[])`.execute(tx)
}

async function markFailed(tx: Tx, rows: readonly Row[], errors: ReadonlyMap<string, string>): Promise<void> {
  if (errors.size === 0) return
  const failed = rows.flatMap(({ id, send_attempts: before }) => {
    const error = errors.get(id)
    const seconds = backoff(before + 1, BACKOFF_SECONDS) * (1 + Math.random() / 4)
    return error === undefined ? [] : [{ id, error, seconds }]
  })
  await sql`update event_log e set send_attempts = e.send_attempts + 1, send_error = f.error,
      send_after = clock_timestamp() + f.seconds * interval '1 second'
    from jsonb_to_recordset(${JSON.stringify(failed)}::jsonb) as f(id bigint, error text, seconds float)
    where e.id = f.id`.execute(tx)
}
