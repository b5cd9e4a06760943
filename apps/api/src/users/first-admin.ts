import { randomBytes } from 'node:crypto'
import { RUNS_USER_ID } from '@aduana/contracts/identity'
import { NUMBERED_LOCKS, takeLock } from '@aduana/db/advisory-locks'
import { audit } from '@aduana/db/audit'
import { type Database, inTransaction } from '@aduana/db/database'
import { hashPassword } from './passwords.ts'

/** The created admin, with the password if it was generated. */
export interface FirstAdmin {
  email: string
  generatedPassword: string | null
}

/** Creates the first admin if there are no users. Of several processes that start at once, one creates it. */
export async function ensureFirstAdmin(
  db: Database,
  wanted: { email: string; password: string | undefined },
): Promise<FirstAdmin | undefined> {
  const password = wanted.password ?? randomBytes(15).toString('base64url')
  return inTransaction(db, async (tx) => {
    await takeLock(tx, NUMBERED_LOCKS.firstAdmin)
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
