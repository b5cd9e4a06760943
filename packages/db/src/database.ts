import type { Principal } from '@aduana/contracts/identity'
import { Kysely, PostgresDialect, sql, type Transaction } from 'kysely'
import type pg from 'pg'
import { arrayText } from './literals.ts'
import type { DB } from './schema.generated.ts'

/** The database, for everything outside a transaction. */
export type Database = Kysely<DB>

declare const transactional: unique symbol
/** A transaction. Functions that must be atomic take one as their first argument. */
export type Tx = Transaction<DB> & { readonly [transactional]: true }

declare const reading: unique symbol
/** A read-only transaction on behalf of a user, under row-level security. */
export type ReadTx = Transaction<DB> & { readonly [reading]: true }

/** Returns Kysely over a pool. The caller ends the pool. */
export function createDatabase(pool: pg.Pool): Database {
  return new Kysely<DB>({ dialect: new PostgresDialect({ pool }) })
}

/** Runs `work` in one transaction, which commits when `work` resolves and rolls back when it throws. */
export function inTransaction<T>(db: Database, work: (tx: Tx) => Promise<T>): Promise<T> {
  return db.transaction().execute((transaction) => work(transaction as Tx))
}

/**
 * Runs `work` like `inTransaction`, in a transaction that waits at most `seconds` for each lock: one that holds a lock may
 * hang.
 * @throws the error of PostgreSQL for a lock that is not granted in that time; the transaction rolls back
 */
export function inTransactionWithLockTimeout<T>(
  db: Database,
  work: (tx: Tx) => Promise<T>,
  seconds = 20,
): Promise<T> {
  return inTransaction(db, async (tx) => {
    await sql`set local lock_timeout = ${sql.lit(`${seconds}s`)}`.execute(tx)
    return work(tx)
  })
}

/** Returns the current time of the database. */
export async function databaseTime(db: Database): Promise<Date> {
  const rows = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(db)
  const [row] = rows.rows
  if (!row) throw new Error('the database did not return the time')
  return row.now
}

/** Returns the value of a scope setting that the row-level policies read. Null means all (`*`), an empty list none. */
function scopeSetting(list: readonly string[] | null): string {
  return list === null ? '*' : arrayText(list)
}

/**
 * Runs `work` in a read-only transaction on behalf of `principal`: as the reader role, under row-level security, with the
 * user's id, role, companies and warehouses set for this transaction. Rows outside that scope are invisible to `work`.
 */
export function readAs<T>(db: Database, principal: Principal, work: (tx: ReadTx) => Promise<T>): Promise<T> {
  return db
    .transaction()
    .setAccessMode('read only')
    .execute(async (transaction) => {
      await sql`select set_config('role', 'aduana_reader', true),
        set_config('aduana.user_id', ${principal.userId}, true),
        set_config('aduana.role', ${principal.role}, true),
        set_config('aduana.companies', ${scopeSetting(principal.companies)}, true),
        set_config('aduana.warehouses', ${scopeSetting(principal.warehouses)}, true)`.execute(transaction)
      return work(transaction as ReadTx)
    })
}
