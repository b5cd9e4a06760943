import type { Principal } from '@aduana/contracts/identity'
import { ProblemError } from '@aduana/contracts/problems'
import { audit } from '@aduana/db/audit'
import { type Database, inTransaction } from '@aduana/db/database'
import { toPrincipal } from './find-user.ts'
import type { LoginThrottle } from './login-throttle.ts'
import { nobodysHash, passwordMatches } from './passwords.ts'

/**
 * Check e-mail and password of a local user. Every attempt on an existing account is audited.
 * @throws ProblemError `bad_credentials` (the same for an unknown, a disabled and a mistyped account), `too_many_logins`
 */
export async function login(
  context: { db: Database; throttle: LoginThrottle },
  credentials: { email: string; password: string; address: string },
): Promise<Principal> {
  const email = credentials.email.toLowerCase()
  context.throttle.attempt(email, credentials.address)
  const row = await context.db
    .selectFrom('users')
    .selectAll()
    .where('email', '=', email)
    .where('disabled_at', 'is', null)
    .executeTakeFirst()
  const matches = await passwordMatches(credentials.password, row?.password_hash ?? (await nobodysHash()))
  if (row)
    await inTransaction(context.db, (tx) =>
      audit(tx, {
        actor: row.id,
        action: matches ? 'user.login' : 'user.login_failed',
        subjectType: 'user',
        subjectId: row.id,
        details: { address: credentials.address },
      }),
    )
  if (!row || !matches)
    throw new ProblemError(
      'bad_credentials',
      'The e-mail or the password is wrong, or the account is disabled.',
    )
  context.throttle.succeeded(email, credentials.address)
  return toPrincipal(row)
}
