import type { Principal } from '@aduana/contracts/identity'
import { MessageRefused, type RefusedMessage, type RefusedMessageQuery } from '@aduana/contracts/messages'
import { ProblemError } from '@aduana/contracts/problems'
import { type Database, inTransaction } from '@aduana/db/database'
import { CursorColumn, decodeCursor, encodeCursor } from '@aduana/jobs/read/cursor'
import type { Page } from '@aduana/jobs/read/jobs'
import type { QueueMessage, Verdict } from '@aduana/messaging/sqs-queue'
import type { Logger } from '@aduana/runtime/logger'
import { z } from 'zod'
import { logEvents } from '../runs/event-log.ts'
import type { Refusal } from './read-message.ts'

/** Stores a refused message with the reason, once. Returns `again` if it cannot be stored now. */
export async function storeRefusedMessage(
  { db, logger, queue }: InboxContext,
  { id, text }: QueueMessage,
  { code, detail }: Refusal,
): Promise<Verdict> {
  const event: MessageRefused = {
    type: 'message.refused',
    queue,
    messageId: id,
    code,
    detail: detail.slice(0, 4000),
    body: text,
  }
  try {
    await inTransaction(db, (tx) => logEvents(tx, [{ key: `message:${id}:refused`, event }]))
    return 'refused'
  } catch (error) {
    logger.warn({ event: 'inbox.refusal_not_stored', queue, messageId: id, err: error })
    return 'again'
  }
}

/** Returns the number of stored refused messages. They are removed with the other events of the log. */
export async function countRefusedMessages(db: Database): Promise<number> {
  const { messages } = await db
    .selectFrom('event_log')
    .select((of) => of.fn.countAll<string>().as('messages'))
    .where('type', '=', 'message.refused')
    .executeTakeFirstOrThrow()
  return Number(messages)
}

const Cursor = z.tuple([CursorColumn.bigint])

/** Returns the refused messages, newest first. @throws ProblemError `forbidden` */
export async function listRefusedMessages(
  db: Database,
  principal: Principal,
  query: RefusedMessageQuery,
): Promise<Page<RefusedMessage>> {
  if (principal.role !== 'admin' || principal.companies !== null || principal.warehouses !== null)
    throw new ProblemError(
      'forbidden',
      'Refused messages can concern any company. Only admins of all companies and warehouses can read them.',
    )
  const before = query.cursor === undefined ? null : decodeCursor(Cursor, query.cursor)[0]
  const rows = await db
    .selectFrom('event_log')
    .select(['id', 'body', 'occurred_at'])
    .where('type', '=', 'message.refused')
    .where((of) => (before === null ? of.lit(true) : of('id', '<', before)))
    .orderBy('id', 'desc')
    .limit(query.limit + 1)
    .execute()
  const shown = rows.slice(0, query.limit)
  const last = shown.at(-1)
  const more = rows.length > query.limit && last !== undefined
  return {
    items: shown.map(({ body, occurred_at }) => {
      const { type: _, ...message } = MessageRefused.parse(body)
      return { ...message, at: occurred_at.toISOString() }
    }),
    next: more ? encodeCursor([last.id]) : null,
  }
}

/** What consuming messages needs. */
export interface InboxContext {
  db: Database
  logger: Logger
  /** The queue of the messages, for the log. */
  queue: string
}
