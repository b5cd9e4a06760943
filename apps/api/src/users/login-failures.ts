import { createHmac, hkdfSync } from 'node:crypto'
import type { Database } from '@aduana/db/database'
import { sql } from 'kysely'

const WINDOW_MINUTES = 15
/** Number of counters of each kind, which bounds the table. */
export const SLOTS = 16_384

/** Failures within a quarter of an hour after which logins are refused. */
const MAX_FAILURES = { account_network: 8, network: 60, account: 100 } as const

type Kind = keyof typeof MAX_FAILURES

/** The account and the address of a login attempt. */
export interface Attempt {
  /** In lower case. */
  email: string
  network: string
}

/** Seconds until each lock ends; 0 for a lock that is off. */
export type Locks = Record<Kind, number>

/** Counts failed logins in PostgreSQL, for all API processes together. */
export interface LoginFailures {
  /** Returns the locks that apply to an attempt. */
  locks(attempt: Attempt): Promise<Locks>
  /** Counts a failure against the account, the network, and the two together. */
  add(attempt: Attempt): Promise<void>
  /** Resets the failures of this account from this network. */
  forget(attempt: Attempt): Promise<void>
}

/**
 * Counts by key in a fixed number of slots, so that the table cannot grow whatever names are tried. `secret` keys the
 * hashes, so an attacker cannot find a name that shares the slot of another. One statement writes the counters of an
 * attempt, always in the order of their kinds, so that two of them cannot wait for each other.
 */
export function createLoginFailures(db: Database, secret: string, slots = SLOTS): LoginFailures {
  const hashKey = Buffer.from(hkdfSync('sha256', secret, '', 'aduana login failures', 32))
  const counter = (kind: Kind, text: string) => {
    const key = createHmac('sha256', hashKey).update(`${kind} ${text}`).digest()
    return { kind, key, slot: key.readUInt32BE(0) % slots }
  }
  const countersOf = ({ email, network }: Attempt) => [
    counter('account', email),
    counter('account_network', `${network} ${email}`),
    counter('network', network),
  ]
  return {
    locks: async (attempt) => {
      const rows = await db
        .selectFrom('login_failures')
        .select(['kind', 'failures', sql<number>`extract(epoch from expires_at - now())::float8`.as('left')])
        .where((row) =>
          row.or(countersOf(attempt).map(({ kind, slot, key }) => row.and({ kind, slot, key }))),
        )
        .where('expires_at', '>', sql<Date>`now()`)
        .execute()
      const lock = (kind: Kind) => {
        const found = rows.find((row) => row.kind === kind)
        return found && found.failures >= MAX_FAILURES[kind] ? Math.ceil(found.left) : 0
      }
      return { account_network: lock('account_network'), network: lock('network'), account: lock('account') }
    },
    add: async (attempt) => {
      const expires_at = sql<Date>`now() + make_interval(mins => ${WINDOW_MINUTES})`
      await db
        .insertInto('login_failures')
        .values(countersOf(attempt).map((one) => ({ ...one, failures: 1, expires_at })))
        .onConflict((conflict) =>
          conflict.columns(['kind', 'slot']).doUpdateSet({
            key: sql`excluded.key`,
            failures: sql`case when ${SAME_COUNTER} then login_failures.failures + 1 else 1 end`,
            expires_at: sql`case when ${SAME_COUNTER} then login_failures.expires_at else excluded.expires_at end`,
          }),
        )
        .execute()
    },
    forget: async (attempt) => {
      const { kind, slot, key } = counter('account_network', `${attempt.network} ${attempt.email}`)
      await db
        .deleteFrom('login_failures')
        .where((row) => row.and({ kind, slot, key }))
        .execute()
    },
  }
}

const SAME_COUNTER = sql`login_failures.key = excluded.key and login_failures.expires_at > now()`
