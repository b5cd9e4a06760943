import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import { sql } from 'kysely'

/**
 * Runs `work` in a transaction that waits at most 20 seconds for each lock.
 * @throws the error of PostgreSQL for a lock that is not granted in that time; the transaction rolls back
 */
export function inTransactionWithLockTimeout<T>(db: Database, work: (tx: Tx) => Promise<T>): Promise<T> {
  return inTransaction(db, async (tx) => {
    await sql`set local lock_timeout = '20s'`.execute(tx)
    return work(tx)
  })
}
