import { createHash, randomBytes } from 'node:crypto'
import { ProblemError } from '@aduana/contracts/problems'
import type { Database } from '@aduana/db/database'
import { sql } from 'kysely'
import type { SessionKey } from '../users/sessions.ts'

const LIFETIME_SECONDS = 30

/** Issues a ticket that opens one WebSocket for a session within 30 seconds. Only its hash is stored. */
export async function issueTicket(
  db: Database,
  session: SessionKey,
): Promise<{ ticket: string; expiresAt: string }> {
  const ticket = randomBytes(32).toString('base64url')
  await db.deleteFrom('ws_tickets').where('expires_at', '<', sql<Date>`now()`).execute()
  const { expires_at } = await db
    .insertInto('ws_tickets')
    .values({
      ticket_hash: hashOf(ticket),
      user_id: session.userId,
      session_id: session.sessionId,
      session_version: session.version,
      session_expires_at: session.expiresAt,
      expires_at: sql<Date>`now() + make_interval(secs => ${LIFETIME_SECONDS})`,
    })
    .returning('expires_at')
    .executeTakeFirstOrThrow()
  return { ticket, expiresAt: expires_at.toISOString() }
}

/** Redeems a ticket and returns its session. @throws ProblemError `unauthenticated` when it is unknown, used or expired */
export async function redeemTicket(db: Database, ticket: string): Promise<SessionKey> {
  const redeemed = await db
    .deleteFrom('ws_tickets')
    .where('ticket_hash', '=', hashOf(ticket))
    .returning([
      'user_id',
      'session_id',
      'session_version',
      'session_expires_at',
      sql<boolean>`expires_at > now()`.as('fresh'),
    ])
    .executeTakeFirst()
  if (!redeemed?.fresh)
    throw new ProblemError(
      'unauthenticated',
      'The ticket is unknown, already used or expired. Get a new one from POST /api/ws-ticket.',
    )
  return {
    userId: redeemed.user_id,
    sessionId: redeemed.session_id,
    version: redeemed.session_version,
    expiresAt: redeemed.session_expires_at,
  }
}

function hashOf(ticket: string): string {
  return createHash('sha256').update(ticket).digest('hex')
}
