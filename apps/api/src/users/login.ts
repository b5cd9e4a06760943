import type { Principal } from '@aduana/contracts/identity'
import { ProblemError } from '@aduana/contracts/problems'
import { audit } from '@aduana/db/audit'
import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import { type Account, readAccount } from './accounts.ts'
import type { HashingQueue } from './hashing-queue.ts'
import type { Attempt, Locks, LoginFailures } from './login-failures.ts'
import { rememberNetwork } from './login-networks.ts'
import { networkOf } from './networks.ts'
import { NO_PASSWORD, passwordMatches } from './passwords.ts'

/** What checking passwords needs. */
export interface Logins {
  db: Database
  failures: LoginFailures
  hashingQueue: HashingQueue
}

/** The credentials of an attempt, and the address it comes from. */
export interface Credentials {
  email: string
  password: string
  address: string
}

/** An authenticated user, and the session version for a new session. */
export interface LoggedIn {
  principal: Principal
  sessionVersion: number
}

/**
 * Logs in a local user. Every attempt is audited.
 * @throws ProblemError what `checkPassword` throws
 */
export async function login(logins: Logins, credentials: Credentials): Promise<LoggedIn> {
  const account = await checkPassword(logins, credentials)
  const network = networkOf(credentials.address)
  await inTransaction(logins.db, async (tx) => {
    await rememberNetwork(tx, account, network)
    await auditLogin(tx, 'user.login', account, credentials.address)
  })
  return account
}

/**
 * Checks e-mail and password. Only failures are counted, each before the next hash of its queue begins. So concurrent
 * guesses can exceed the limit only by the number of hashes that run at once.
 *
 * While an account is locked for all networks, the correct password is accepted from networks where the user has logged in
 * before. Every other attempt gets the same answer after the same work, whether or not the password is correct or the
 * account exists.
 * @throws ProblemError `bad_credentials` (unknown, disabled and mistyped accounts alike), `too_many_logins`, `logins_busy`
 */
export async function checkPassword(
  { db, failures, hashingQueue }: Logins,
  { email, password, address }: Credentials,
): Promise<Account> {
  const attempt: Attempt = { email: email.toLowerCase(), network: networkOf(address) }
  assertNotLocked(await failures.locks(attempt))
  const account = await readAccount(db, attempt)
  return hashingQueue(attempt.network, async () => {
    const locks = await failures.locks(attempt)
    assertNotLocked(locks)
    const matches = await passwordMatches(password, account?.passwordHash ?? NO_PASSWORD)
    if (account && matches && (locks.account === 0 || account.knownNetwork)) {
      await failures.forget(attempt)
      return account
    }
    await failures.add(attempt)
    await inTransaction(db, (tx) => auditLogin(tx, 'user.login_failed', account, address))
    if (locks.account > 0) throw tooMany(locks.account)
    throw new ProblemError(
      'bad_credentials',
      'Wrong e-mail or password, or the account is disabled. Check both and try again.',
    )
  })
}

function assertNotLocked({ account_network, network }: Locks): void {
  const seconds = Math.max(account_network, network)
  if (seconds > 0) throw tooMany(seconds)
}

function tooMany(retryAfterSeconds: number): ProblemError {
  return new ProblemError('too_many_logins', 'Too many logins have failed. Wait before you try again.', {
    retryAfterSeconds,
  })
}

function auditLogin(tx: Tx, action: string, account: Account | undefined, address: string): Promise<void> {
  const id = account?.principal.userId
  return audit(tx, {
    actor: id ?? null,
    action,
    subjectType: 'user',
    subjectId: id ?? 'unknown',
    details: { address },
  })
}
