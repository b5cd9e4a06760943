import { Principal } from '@aduana/contracts/identity'
import type { Database } from '@aduana/db/database'

const CACHE_MS = 20_000
const CACHE_SIZE = 10_000

/** Finds a user who may act, undefined when there is none or the account is disabled. */
export type FindUser = (userId: string) => Promise<Principal | undefined>

/** Look users up by id and remember them for some seconds: a disabled account stops working within half a minute. */
export function createFindUser(db: Database): FindUser {
  const known = new Map<string, { user: Principal | undefined; until: number }>()
  return async (userId) => {
    const cached = known.get(userId)
    if (cached && cached.until > Date.now()) return cached.user
    const user = await readUser(db, userId)
    if (known.size >= CACHE_SIZE) known.clear()
    known.set(userId, { user, until: Date.now() + CACHE_MS })
    return user
  }
}

/** Read a user who may act. */
export async function readUser(db: Database, userId: string): Promise<Principal | undefined> {
  const row = await db
    .selectFrom('users')
    .select(['id', 'email', 'role', 'tenant', 'companies', 'warehouses'])
    .where('id', '=', userId)
    .where('disabled_at', 'is', null)
    .executeTakeFirst()
  return row && toPrincipal(row)
}

/** A row of `users` as the one who acts. */
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
