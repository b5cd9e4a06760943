import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import type { Account } from './accounts.ts'

const MAX_NETWORKS = 16

/** Notes that the user has logged in from this network, at most once a day. The last sixteen networks are kept. */
export async function rememberNetwork(tx: Tx, account: Account, network: string): Promise<void> {
  if (account.usedNetworkToday) return
  const { userId } = account.principal
  await tx
    .insertInto('login_networks')
    .values({ user_id: userId, network })
    .onConflict((conflict) =>
      conflict.columns(['user_id', 'network']).doUpdateSet({ last_login_at: sql<Date>`now()` }),
    )
    .execute()
  // Skips rows that a concurrent login of the user is removing, so that the two never wait for each other.
  await sql`delete from login_networks where (user_id, network) in (
    select user_id, network from login_networks where user_id = ${userId}
    order by last_login_at desc, network offset ${MAX_NETWORKS} for update skip locked)`.execute(tx)
}
