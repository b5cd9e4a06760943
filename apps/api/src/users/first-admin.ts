import { randomBytes } from 'node:crypto'
import { RUNS_USER_ID } from '@aduana/contracts/identity'
import { audit } from '@aduana/db/audit'
import { type Database, inTransaction } from '@aduana/db/database'
import { sql } from 'kysely'
import { hashPassword } from './passwords.ts'

// Any constant; it names our lock among the advisory locks of the database.
const FIRST_ADMIN_LOCK = 7_461_002

/** The admin that was made, with the password if it was not given but drawn. */
export interface FirstAdmin {
  email: string
  generatedPassword: string | null
}

/** Make the first admin when there is no person among the users. Of several processes that start at once, one does. */
export async function ensureFirstAdmin(
  db: Database,
  wanted: { email: string; password: string | undefined },
): Promise<FirstAdmin | undefined> {
  const password = wanted.password ?? randomBytes(15).toString('base64url')
  return inTransaction(db, async (tx) => {
    await sql`select pg_advisory_xact_lock(${FIRST_ADMIN_LOCK})`.execute(tx)
    const existing = await tx
      .selectFrom('users')
      .select('id')
      .where('id', '<>', RUNS_USER_ID)
      .limit(1)
      .executeTakeFirst()
    if (existing) return undefined
    const email = wanted.email.toLowerCase()
    const { id } = await tx
      .insertInto('users')
      .values({ email, password_hash: await hashPassword(password), role: 'admin' })
      .returning('id')
      .executeTakeFirstOrThrow()
    await audit(tx, {
      actor: null,
      action: 'user.create',
      subjectType: 'user',
      subjectId: id,
      details: { role: 'admin' },
    })
    return { email, generatedPassword: wanted.password === undefined ? password : null }
  })
}
