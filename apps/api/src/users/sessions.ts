import type { Principal } from '@aduana/contracts/identity'
import { audit } from '@aduana/db/audit'
import { type Database, inTransaction } from '@aduana/db/database'
import { sql } from 'kysely'
import { PRINCIPAL_COLUMNS, toPrincipal } from './accounts.ts'

/** What a token says, and a WebSocket stands on. */
export interface SessionKey {
  sessionId: string
  userId: string
  /** The version of the user's sessions when it began. */
  version: number
  expiresAt: Date
}

/** Who is logged in, and by which session. */
export interface Session extends SessionKey {
  principal: Principal
}

/**
 * Returns, by session, the users of those sessions that are still good: not logged out, begun since the last change of
 * the password, and of an account that is not disabled. Expiry stands in the token, and is not looked at here.
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

/** Returns the user of a session as it is now, undefined when it has ended. */
export type FindPrincipal = (key: SessionKey) => Promise<Principal | undefined>

/**
 * Looks sessions up for requests. Those that come while one query is under way are asked about together in the next: so
 * each is answered by what was committed after it came, and many at once cost few queries.
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
    // Those who asked are told of an error; the next query is asked all the same.
    underWay = principals.catch(() => undefined)
    return { keys, principals }
  }
  return async (key) => {
    next ??= begin()
    next.keys.push(key)
    return (await next.principals).get(key.sessionId)
  }
}

/** Ends a session: its token is refused from now on, everywhere. Ending it again changes nothing. */
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
