import type { Principal } from '@aduana/contracts/identity'
import { audit } from '@aduana/db/audit'
import { type Database, inTransaction } from '@aduana/db/database'
import { sql } from 'kysely'
import { PRINCIPAL_COLUMNS, toPrincipal } from './accounts.ts'

/** The session that a token names and a WebSocket belongs to. */
export interface SessionKey {
  sessionId: string
  userId: string
  /** The version of the user's sessions when it began. */
  version: number
  expiresAt: Date
}

/** The logged-in user and the session. */
export interface Session extends SessionKey {
  principal: Principal
}

/**
 * Returns the users of those sessions that are still valid, by session: not logged out, begun since the last change of the
 * password, and of an account that is not disabled. The token carries the expiry; it is not checked here.
 */
export async function findPrincipals(
  db: Database,
  keys: readonly SessionKey[],
): Promise<Map<string, Principal>> {
  const asked = sql<{ session_id: string; user_id: string; version: number }>`unnest(
    ${keys.map((key) => key.sessionId)}::uuid[],
    ${keys.map((key) => key.userId)}::uuid[],
    ${keys.map((key) => key.version)}::integer[])`
  const rows = await db
    .selectFrom(asked.as<'asked'>(sql`asked (session_id, user_id, version)`))
    .innerJoin('users', (join) =>
      join.onRef('users.id', '=', 'asked.user_id').onRef('users.session_version', '=', 'asked.version'),
    )
    .select(['asked.session_id', ...PRINCIPAL_COLUMNS])
    .where('users.disabled_at', 'is', null)
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('ended_sessions').whereRef('ended_sessions.id', '=', 'asked.session_id'))),
    )
    .execute()
  return new Map(rows.map((row) => [row.session_id, toPrincipal(row)]))
}

/** Returns the current user of a session; undefined when the session has ended. */
export type FindPrincipal = (key: SessionKey) => Promise<Principal | undefined>

/**
 * Looks up sessions for requests. Requests that arrive while a query runs share the next one. So each request sees what was
 * committed before it arrived, and many concurrent requests cost few queries.
 */
export function createFindPrincipal(db: Database): FindPrincipal {
  let next: { keys: SessionKey[]; principals: Promise<Map<string, Principal>> } | undefined
  let underWay: Promise<unknown> = Promise.resolve()
  const begin = () => {
    const keys: SessionKey[] = []
    const principals = underWay.then(() => {
      next = undefined
      return findPrincipals(db, keys)
    })
    // The callers get the error; the next query still runs.
    underWay = principals.catch(() => undefined)
    return { keys, principals }
  }
  return async (key) => {
    next ??= begin()
    next.keys.push(key)
    return (await next.principals).get(key.sessionId)
  }
}

/** Ends a session: every process refuses its token from now on. Ending it again changes nothing. */
export async function endSession(db: Database, { sessionId, userId, expiresAt }: SessionKey): Promise<void> {
  await inTransaction(db, async (tx) => {
    const ended = await tx
      .insertInto('ended_sessions')
      .values({ id: sessionId, user_id: userId, expires_at: expiresAt })
      .onConflict((conflict) => conflict.doNothing())
      .executeTakeFirst()
    if (ended.numInsertedOrUpdatedRows === 0n) return
    await audit(tx, { actor: userId, action: 'user.logout', subjectType: 'user', subjectId: userId })
  })
}
