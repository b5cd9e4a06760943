import type { Principal } from '@aduana/contracts/identity'
import { ProblemError } from '@aduana/contracts/problems'
import { audit } from '@aduana/db/audit'
import { inTransaction } from '@aduana/db/database'
import { checkPassword, type LoggedIn, type Logins } from './login.ts'
import { networkOf } from './networks.ts'
import { hashPassword } from './passwords.ts'

/**
 * Changes the password of a user, which ends all sessions of the user. Returns the user with the version of new sessions.
 * @throws ProblemError `bad_credentials` when the current password is wrong or another change came first, and what
 *   `checkPassword` throws
 */
export async function changePassword(
  logins: Logins,
  principal: Principal,
  change: { current: string; next: string; address: string },
): Promise<LoggedIn> {
  const { current, next, address } = change
  const account = await checkPassword(logins, { email: principal.email, password: current, address })
  const hash = await logins.hashingQueue(networkOf(address), () => hashPassword(next))
  return inTransaction(logins.db, async (tx) => {
    // A trigger raises the version of the sessions.
    const changed = await tx
      .updateTable('users')
      .set({ password_hash: hash })
      .where('id', '=', principal.userId)
      .where('password_hash', '=', account.passwordHash)
      .where('disabled_at', 'is', null)
      .returning('session_version')
      .executeTakeFirst()
    if (!changed)
      throw new ProblemError('bad_credentials', 'The password has changed since you logged in. Log in again.')
    await audit(tx, {
      actor: principal.userId,
      action: 'user.password_changed',
      subjectType: 'user',
      subjectId: principal.userId,
      details: { address },
    })
    return { principal: account.principal, sessionVersion: changed.session_version }
  })
}
