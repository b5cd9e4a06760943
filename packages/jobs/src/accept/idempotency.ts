import { createHash } from 'node:crypto'
import { ProblemError } from '@aduana/contracts/problems'
import type { Tx } from '@aduana/db/database'
import { jsonb } from '@aduana/db/jsonb'
import { sql } from 'kysely'
import type { z } from 'zod'

/** A request that its sender may repeat: the user, the Idempotency-Key, and a digest of its contents. */
export interface RepeatableRequest {
  userId: string
  key: string
  requestSha256: string
}

/** The response to a request that creates something. */
export interface Created<Body> {
  /** HTTP status, 200 to 299. */
  status: number
  body: Body
}

/** `replayed`: nothing was created now; this is the response to the first request with the key. */
export interface IdempotentResult<Body> extends Created<Body> {
  replayed: boolean
}

/** How long the response to a key is kept. */
const KEY_RETENTION_DAYS = 7

/**
 * Calls `create` once for all requests with the same key, and returns its response. The key is stored in the transaction
 * that creates, so both are committed or neither is. A concurrent request with the key waits until the first one ends. Call
 * this first in the transaction: a request that waits for a key must not hold locks that the first one needs. Without a
 * request, `create` is always called.
 * @throws ProblemError `idempotency_key_reused` when the key belongs to another request
 * @throws the error of `create`; the key can then be used again
 */
export async function createIdempotently<Body extends z.ZodType<object>>(
  tx: Tx,
  request: RepeatableRequest | undefined,
  schema: Body,
  create: () => Promise<Created<z.output<Body>>>,
): Promise<IdempotentResult<z.output<Body>>> {
  if (!request) return { ...(await create()), replayed: false }
  const { userId, key, requestSha256 } = request
  const reserved = await tx
    .insertInto('idempotency_keys')
    .values({ user_id: userId, key, request_sha256: requestSha256, status: 200, body: jsonb({}) })
    .onConflict((conflict) => conflict.columns(['user_id', 'key']).doNothing())
    .executeTakeFirst()
  if (reserved.numInsertedOrUpdatedRows === 0n) return replay(tx, request, schema)
  const created = await create()
  await tx
    .updateTable('idempotency_keys')
    .set({ status: created.status, body: jsonb(created.body) })
    .where('user_id', '=', userId)
    .where('key', '=', key)
    .execute()
  return { ...created, replayed: false }
}

async function replay<Body extends z.ZodType<object>>(
  tx: Tx,
  { userId, key, requestSha256 }: RepeatableRequest,
  schema: Body,
): Promise<IdempotentResult<z.output<Body>>> {
  const first = await tx
    .selectFrom('idempotency_keys')
    .select(['request_sha256', 'status', 'body'])
    .where('user_id', '=', userId)
    .where('key', '=', key)
    .executeTakeFirstOrThrow()
  if (first.request_sha256 !== requestSha256)
    throw new ProblemError(
      'idempotency_key_reused',
      `The Idempotency-Key "${key}" was already used for a different request. Send a new key with a new request, or repeat the first request with the same file and fields.`,
    )
  return { status: first.status, body: schema.parse(first.body), replayed: true }
}

/** Returns the digest of a request: its method, path and fields. The order of the fields does not matter. */
export function requestDigest(
  method: string,
  path: string,
  asked: Readonly<Record<string, unknown>>,
): string {
  const members = Object.entries(asked)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256')
    .update(JSON.stringify([method, path, members]))
    .digest('hex')
}

/** Returns whether a key of a user has already been used. */
export async function isKeyUsed(
  db: Pick<Tx, 'selectFrom'>,
  { userId, key }: Pick<RepeatableRequest, 'userId' | 'key'>,
): Promise<boolean> {
  const row = await db
    .selectFrom('idempotency_keys')
    .select('key')
    .where('user_id', '=', userId)
    .where('key', '=', key)
    .executeTakeFirst()
  return row !== undefined
}

/** Removes keys that are older than `KEY_DAYS`. Returns how many. */
export async function pruneIdempotencyKeys(db: Pick<Tx, 'deleteFrom'>): Promise<number> {
  const gone = await db
    .deleteFrom('idempotency_keys')
    .where('created_at', '<', sql<Date>`clock_timestamp() - make_interval(days => ${KEY_RETENTION_DAYS})`)
    .executeTakeFirst()
  return Number(gone.numDeletedRows)
}
