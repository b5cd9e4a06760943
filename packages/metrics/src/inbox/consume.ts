import type { IncomingEvent, MetricRunCompleted } from '@aduana/contracts/metrics/events'
import type { RunEventOutcome } from '@aduana/contracts/metrics/runs'
import { PROBLEMS, ProblemError } from '@aduana/contracts/problems'
import { type Database, inTransactionWithLockTimeout, type Tx } from '@aduana/db/database'
import type { QueueMessage, Verdict } from '@aduana/messaging/sqs-queue'
import { groupBy } from '@aduana/metric-compute/group-by'
import { failPoint } from '@aduana/runtime/fail-points'
import { sql } from 'kysely'
import { completeRuns, RunEventError, recordHeartbeats, startRuns } from '../runs/runner-events.ts'
import { acceptProjectionUpdates, assertPlausibleDays } from '../updates/accept.ts'
import { type Refusal, readMessage } from './read-message.ts'
import { type InboxContext, storeRefusedMessage } from './refused.ts'

interface Read<Event extends IncomingEvent = IncomingEvent> {
  message: QueueMessage
  event: Event
}

/** The result of an event: applied, refused permanently, or to be received again. */
type Result =
  | { kind: 'applied'; outcome: RunEventOutcome }
  | { kind: 'refused'; refusal: Refusal }
  | { kind: 'again' }

type OfType<Type extends IncomingEvent['type']> = Extract<IncomingEvent, { type: Type }>

/**
 * Consumes messages, in any order and with duplicates. Returns a verdict for each: an applied message is done once
 * this commits it, an invalid one is stored with the reason, and one that cannot be processed now is received again.
 */
export async function consumeMessages(
  context: InboxContext,
  messages: readonly QueueMessage[],
): Promise<Verdict[]> {
  const results = new Map<QueueMessage, Result>()
  const read: Read[] = []
  for (const message of messages) {
    const found = readMessage(message.text)
    if ('event' in found) read.push({ message, event: found.event })
    else results.set(message, { kind: 'refused', refusal: found.refusal })
  }
  // This order is the most useful for one run; none is required.
  await applyBatch(context, results, ofType(read, 'aduana.metric_run.started'), forExternalRuns(startRuns))
  await applyBatch(
    context,
    results,
    ofType(read, 'aduana.metric_run.heartbeat'),
    forExternalRuns(recordHeartbeats),
  )
  await applyBatch(
    context,
    results,
    ofType(read, 'aduana.metric_run.completed'),
    forExternalRuns(completeWithinRange),
  )
  for (const updates of byDataset(ofType(read, 'aduana.projection.updated')))
    await applyBatch(context, results, updates, applyUpdates)
  const events = new Map(read.map(({ message, event }) => [message, event]))
  return Promise.all(
    messages.map((message) => verdictOf(context, message, events.get(message), results.get(message))),
  )
}

function ofType<Type extends IncomingEvent['type']>(read: readonly Read[], type: Type): Read<OfType<Type>>[] {
  return read.filter((one): one is Read<OfType<Type>> => one.event.type === type)
}

/** Groups updates by dataset. A transaction with several datasets would lock metrics out of order. */
function byDataset(updates: readonly Read<OfUpdate>[]): Read<OfUpdate>[][] {
  return [...groupBy(updates, ({ event }) => event.data.dataset).values()]
}

type OfUpdate = OfType<'aduana.projection.updated'>

async function applyUpdates(tx: Tx, updates: readonly OfUpdate['data'][]): Promise<RunEventOutcome[]> {
  for (const update of updates) assertPlausibleDays(update)
  const { written } = await acceptProjectionUpdates(tx, updates)
  return written.map(({ fresh }) => (fresh ? 'applied' : 'duplicate'))
}

/** Applies events of external runs; events of built-in runs are rejected. */
function forExternalRuns<Data extends { runId: string }>(
  apply: (tx: Tx, events: readonly Data[]) => Promise<RunEventOutcome[]>,
) {
  return async (tx: Tx, events: readonly Data[]) => {
    await rejectBuiltinRuns(tx, events)
    return apply(tx, events)
  }
}

function completeWithinRange(tx: Tx, events: readonly MetricRunCompleted[]): Promise<RunEventOutcome[]> {
  for (const event of events) if ('days' in event) assertPlausibleDays(event)
  return completeRuns(tx, events)
}

/**
 * Applies events in one transaction. If that fails, applies each in its own, so that an invalid event does not delay
 * others.
 */
async function applyBatch<Event extends IncomingEvent>(
  context: InboxContext,
  results: Map<QueueMessage, Result>,
  read: readonly Read<Event>[],
  apply: (tx: Tx, events: readonly Event['data'][]) => Promise<RunEventOutcome[]>,
): Promise<void> {
  if (read.length === 0) return
  const take = (some: readonly Read<Event>[]) =>
    applyInTransaction(context.db, (tx) =>
      apply(
        tx,
        some.map(({ event }) => event.data),
      ),
    )
  try {
    const outcomes = await take(read)
    for (const [at, { message }] of read.entries())
      results.set(message, { kind: 'applied', outcome: outcomes[at] ?? 'duplicate' })
  } catch (error) {
    if (read.length === 1)
      for (const { message } of read) results.set(message, resultOfError(context, message, error))
    else for (const one of read) await applyBatch(context, results, [one], apply)
  }
}

async function applyInTransaction<T>(db: Database, work: (tx: Tx) => Promise<T>): Promise<T> {
  const result = await inTransactionWithLockTimeout(db, async (tx) => {
    const done = await work(tx)
    await failPoint('inbox.before-commit')
    return done
  })
  await failPoint('inbox.after-commit')
  return result
}

function resultOfError({ logger, queue }: InboxContext, { id }: QueueMessage, error: unknown): Result {
  if (error instanceof RunEventError || (error instanceof ProblemError && isPermanent(error)))
    return { kind: 'refused', refusal: { code: error.code, detail: error.message } }
  logger.warn({ event: 'inbox.retry_later', queue, messageId: id, err: error })
  return { kind: 'again' }
}

/** Returns whether an error is permanent: it occurs again however often the message is received. */
function isPermanent({ code }: ProblemError): boolean {
  const { status } = PROBLEMS[code]
  return status < 500 && status !== 429
}

async function verdictOf(
  context: InboxContext,
  message: QueueMessage,
  event: IncomingEvent | undefined,
  result: Result | undefined,
): Promise<Verdict> {
  if (result === undefined || result.kind === 'again') return 'again'
  const { logger, queue } = context
  const facts = { queue, messageId: message.id, ...(event ? factsOf(event) : {}) }
  if (result.kind === 'applied') {
    logger.info({ event: 'inbox.consumed', ...facts, outcome: result.outcome })
    return 'done'
  }
  logger.error({ event: 'inbox.refused', ...facts, receives: message.receives, ...result.refusal })
  return storeRefusedMessage(context, message, result.refusal)
}

/** Returns what an event is about, for the log. */
function factsOf({ type, data }: IncomingEvent): Record<string, unknown> {
  if ('dataset' in data) return { type, dataset: data.dataset, eventKey: data.eventKey }
  return { type, runId: data.runId, attempt: data.attempt }
}

/**
 * Rejects events of runs that Aduana computes itself: an external runner that answers every request must not end
 * them.
 * @throws RunEventError `not_external`
 */
async function rejectBuiltinRuns(tx: Tx, events: readonly { runId: string }[]): Promise<void> {
  const ids = events.map(({ runId }) => runId)
  const rows = await sql<{ id: string; metric: string }>`select r.id, m.code as metric
    from metric_runs r join metric_versions v on v.metric_id = r.metric_id and v.version = r.metric_version
      join metrics m on m.id = r.metric_id
    where r.id = any (${ids}::uuid[]) and v.definition ->> 'runner' = 'builtin' limit 1`.execute(tx)
  const [own] = rows.rows
  if (own)
    throw new RunEventError(
      'not_external',
      own.id,
      `run ${own.id} of ${own.metric} is computed by the built-in runner. Send results only for requests whose runner is "external"`,
    )
}
