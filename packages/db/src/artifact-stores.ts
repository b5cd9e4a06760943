import { sql } from 'kysely'
import { type Database, inTransaction, type Tx } from './database.ts'

/**
 * Do `work` while no other process of this database claims its store.
 * @throws what `work` throws
 */
export function claimAlone<T>(db: Database, work: (tx: Tx) => Promise<T>): Promise<T> {
  return inTransaction(db, async (tx) => {
    await sql`select pg_advisory_xact_lock(hashtextextended('claim the artifact store', 0))`.execute(tx)
    return work(tx)
  })
}

/** The names of the stores that the database knows. */
export async function knownStores(db: Database | Tx): Promise<string[]> {
  const rows = await db.selectFrom('artifact_stores').select('name').orderBy('name').execute()
  return rows.map(({ name }) => name)
}

/** Remember the marker of a store if the database knows none yet, and answer the one that it knows. */
export async function rememberStore(db: Database | Tx, name: string, marker: string): Promise<string> {
  const known = await sql<{ marker: string }>`
    with added as (insert into artifact_stores (name, marker) values (${name}, ${marker})
      on conflict (name) do nothing returning marker)
    select marker from added union all select marker from artifact_stores where name = ${name} limit 1`.execute(
    db,
  )
  const found = known.rows[0]?.marker
  // Another process has written it between the two looks of the one statement: now it is there to be seen.
  return found ?? rememberStore(db, name, marker)
}
