import type { IncomingEvent, MetricRunCompleted } from '@aduana/contracts/metrics/events'
import type { RunEventOutcome } from '@aduana/contracts/metrics/runs'
import { PROBLEMS, ProblemError } from '@aduana/contracts/problems'
import type { Database, Tx } from '@aduana/db/database'
import type { QueueMessage, Verdict } from '@aduana/messaging/sqs-queue'
import { failPoint } from '@aduana/runtime/fail-points'
import { sql } from 'kysely'
import { inTransactionWithLockTimeout } from '../lock-timeout.ts'
import { completeRuns, RunEventError, recordHeartbeats, startRuns } from '../runs/runner-events.ts'
import { acceptProjectionUpdates, assertPlausibleDays } from '../updates/accept.ts'
import { type Refusal, readMessage } from './read-message.ts'
import { type InboxContext, storeRefusedMessage } from './refused.ts'

interface Read<Event extends IncomingEvent = IncomingEvent> {
  message: QueueMessage
  event: Event
}

/** What became of an event: how it was applied, why it never can be, or that it could not be looked at now. */
type Result =
  | { kind: 'taken'; outcome: RunEventOutcome }
  | { kind: 'refused'; refusal: Refusal }
  | { kind: 'again' }

type OfType<Type extends IncomingEvent['type']> = Extract<IncomingEvent, { type: Type }>

/**
 * Take messages in, in whatever order they come: what says the same twice, or comes late, changes nothing. Each is done
 * when this has committed it; what can never be taken in is kept with the reason, and what cannot be now comes again.
 */
export async function consumeMessages(
  context: InboxContext,
  messages: readonly QueueMessage[],
): Promise<Verdict[]> {
  const fates = new Map<QueueMessage, Result>()
  const read: Read[] = []
  for (const message of messages) {
    const found = readMessage(message.text)
    if ('event' in found) read.push({ message, event: found.event })
    else fates.set(message, { kind: 'refused', refusal: found.refusal })
  }
  // Of one run they are most useful in this order; none needs it.
  await applyBatch(context, fates, ofType(read, 'aduana.metric_run.started'), forExternalRuns(startRuns))
  await applyBatch(
    context,
    fates,
    ofType(read, 'aduana.metric_run.heartbeat'),
    forExternalRuns(recordHeartbeats),
  )
  await applyBatch(
    context,
    fates,
    ofType(read, 'aduana.metric_run.completed'),
    forExternalRuns(completeWithinRange),
  )
  for (const updates of byDataset(ofType(read, 'aduana.projection.updated')))
    await applyBatch(context, fates, updates, applyUpdates)
  const events = new Map(read.map(({ message, event }) => [message, event]))
  return Promise.all(
    messages.map((message) => verdictOf(context, message, events.get(message), fates.get(message))),
  )
}

function ofType<Type extends IncomingEvent['type']>(read: readonly Read[], type: Type): Read<OfType<Type>>[] {
  return read.filter((one): one is Read<OfType<Type>> => one.event.type === type)
}

/** Updates of one dataset together: those of several would lock metrics in an order of their own. */
function byDataset(updates: readonly Read<OfUpdate>[]): Read<OfUpdate>[][] {
  const groups = new Map<string, Read<OfUpdate>[]>()
  for (const update of updates) {
    const { dataset } = update.event.data
    groups.set(dataset, [...(groups.get(dataset) ?? []), update])
  }
  return [...groups.values()]
}

type OfUpdate = OfType<'aduana.projection.updated'>

async function applyUpdates(tx: Tx, updates: readonly OfUpdate['data'][]): Promise<RunEventOutcome[]> {
  for (const update of updates) assertPlausibleDays(update)
  const { written } = await acceptProjectionUpdates(tx, updates)
  return written.map(({ fresh }) => (fresh ? 'applied' : 'duplicate'))
}

/** Apply events of runs, of those that are not computed here. */
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

/** Apply events in one transaction; if that fails, each in its own, so that one holds up no other. */
async function applyBatch<Event extends IncomingEvent>(
  context: InboxContext,
  fates: Map<QueueMessage, Result>,
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
      fates.set(message, { kind: 'taken', outcome: outcomes[at] ?? 'duplicate' })
  } catch (error) {
    if (read.length === 1)
      for (const { message } of read) fates.set(message, resultOfError(context, message, error))
    else for (const one of read) await applyBatch(context, fates, [one], apply)
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

/** Whether a problem is the message's own: other answers are the same however often it comes. */
function isPermanent({ code }: ProblemError): boolean {
  const { status } = PROBLEMS[code]
  return status < 500 && status !== 429
}

async function verdictOf(
  context: InboxContext,
  message: QueueMessage,
  event: IncomingEvent | undefined,
  fate: Result | undefined,
): Promise<Verdict> {
  if (fate === undefined || fate.kind === 'again') return 'again'
  const { logger, queue } = context
  const facts = { queue, messageId: message.id, ...(event ? factsOf(event) : {}) }
  if (fate.kind === 'taken') {
    logger.info({ event: 'inbox.consumed', ...facts, outcome: fate.outcome })
    return 'done'
  }
  logger.error({ event: 'inbox.refused', ...facts, receives: message.receives, ...fate.refusal })
  return storeRefusedMessage(context, message, fate.refusal)
}

/** What an event is about, for the log. */
function factsOf({ type, data }: IncomingEvent): Record<string, unknown> {
  if ('dataset' in data) return { type, dataset: data.dataset, eventKey: data.eventKey }
  return { type, runId: data.runId, attempt: data.attempt }
}

/**
 * Refuse events from outside of runs that Aduana computes itself: a runner that answers every request, whoever it is
 * for, must not end them. @throws RunEventError `not_external`
 */
export async function rejectBuiltinRuns(tx: Tx, events: readonly { runId: string }[]): Promise<void> {
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
      `run ${own.id} of ${own.metric} is computed by Aduana itself: answer only requests whose runner is "external"`,
    )
}
