import { createHash, randomBytes } from 'node:crypto'
import { ProblemError } from '@aduana/contracts/problems'
import type { Database } from '@aduana/db/database'
import { sql } from 'kysely'
import type { Session } from '../users/session.ts'

const LIFETIME_SECONDS = 30

/**
 * Issue a key that opens one WebSocket within half a minute. Only its hash is stored. The end of the session is part
 * of the ticket, and so of the hash: nobody can move it.
 */
export async function issueTicket(
  db: Database,
  session: Session,
): Promise<{ ticket: string; expiresAt: string }> {
  const sessionEnd = Math.floor(session.expiresAt.getTime() / 1000)
  const ticket = `${randomBytes(32).toString('base64url')}.${sessionEnd}`
  await db.deleteFrom('ws_tickets').where('expires_at', '<', sql<Date>`now()`).execute()
  const { expires_at } = await db
    .insertInto('ws_tickets')
    .values({
      ticket_hash: hashOf(ticket),
      user_id: session.principal.userId,
      expires_at: sql<Date>`now() + make_interval(secs => ${LIFETIME_SECONDS})`,
    })
    .returning('expires_at')
    .executeTakeFirstOrThrow()
  return { ticket, expiresAt: expires_at.toISOString() }
}

/** Use a ticket up. @throws ProblemError `unauthenticated` when it is unknown, used or too old */
export async function burnTicket(db: Database, ticket: string): Promise<{ userId: string; expiresAt: Date }> {
  const burnt = await db
    .deleteFrom('ws_tickets')
    .where('ticket_hash', '=', hashOf(ticket))
    .returning(['user_id', sql<boolean>`expires_at > now()`.as('fresh')])
    .executeTakeFirst()
  if (!burnt?.fresh)
    throw new ProblemError('unauthenticated', 'The ticket is unknown, used or too old. Ask for a new one.')
  return { userId: burnt.user_id, expiresAt: new Date(Number(ticket.split('.')[1]) * 1000) }
}

function hashOf(ticket: string): string {
  return createHash('sha256').update(ticket).digest('hex')
}
