import { Principal } from '@aduana/contracts/identity'
import type { Database } from '@aduana/db/database'
import { sql } from 'kysely'
import type { Attempt } from './login-failures.ts'

const KNOWN_DAYS = 90

/** A user who may log in. */
export interface Account {
  principal: Principal
  passwordHash: string
  sessionVersion: number
  /** The user has logged in from the network of the attempt within ninety days. */
  knownNetwork: boolean
  /** … within a day. */
  usedNetworkToday: boolean
}

/** Returns the account of an attempt; undefined when there is none or it is disabled. */
export async function readAccount(db: Database, { email, network }: Attempt): Promise<Account | undefined> {
  const row = await db
    .selectFrom('users')
    .leftJoin('login_networks as known', (join) =>
      join.onRef('known.user_id', '=', 'users.id').on('known.network', '=', network),
    )
    .select(PRINCIPAL_COLUMNS)
    .select(['users.password_hash', 'users.session_version'])
    .select(sql<number | null>`extract(epoch from now() - known.last_login_at)::float8 / 86400`.as('days'))
    .where('users.email', '=', email)
    .where('users.disabled_at', 'is', null)
    .executeTakeFirst()
  if (!row) return undefined
  const within = (days: number) => row.days !== null && row.days < days
  return {
    principal: toPrincipal(row),
    passwordHash: row.password_hash,
    sessionVersion: row.session_version,
    knownNetwork: within(KNOWN_DAYS),
    usedNetworkToday: within(1),
  }
}

/** The columns of `users` that `toPrincipal` needs. */
export const PRINCIPAL_COLUMNS = [
  'users.id',
  'users.email',
  'users.role',
  'users.tenant',
  'users.companies',
  'users.warehouses',
] as const

/** Turns a row of `users` into a principal. */
export function toPrincipal(row: {
  id: string
  email: string
  role: string
  tenant: string
  companies: string[] | null
  warehouses: string[] | null
}): Principal {
  return Principal.parse({
    userId: row.id,
    email: row.email,
    role: row.role,
    tenant: row.tenant,
    companies: row.companies,
    warehouses: row.warehouses,
  })
}
