import { sql } from 'kysely'
import type { Database } from './database.ts'

/** A store that the database knows by its marker; a proposed one has not been confirmed to carry it. */
export interface KnownStore {
  kind: string
  marker: string
  proposed: boolean
}

/** What the database knows of stores, for the one process that looks at it. */
export interface StoreRecords {
  known(): Promise<KnownStore[]>
  /** Write down a marker that is about to be set, so that one who dies in between is understood. */
  propose(kind: string, marker: string): Promise<void>
  confirm(kind: string): Promise<void>
}

const PROPOSED = ':proposed'

/** Do `work` on the records of stores while no other process of this database does. */
export function withStoreRecords<T>(db: Database, work: (records: StoreRecords) => Promise<T>): Promise<T> {
  return db.connection().execute(async (connection) => {
    // Of the session, not of a transaction: what is proposed must be there when the process dies.
    await sql`select pg_advisory_lock(hashtextextended('artifact stores', 0))`.execute(connection)
    try {
      return await work(recordsOn(connection))
    } finally {
      await sql`select pg_advisory_unlock(hashtextextended('artifact stores', 0))`.execute(connection)
    }
  })
}

function recordsOn(db: Database): StoreRecords {
  return {
    known: async () => {
      const rows = await db.selectFrom('artifact_stores').select(['name', 'marker']).orderBy('name').execute()
      return rows.map(({ name, marker }) => ({
        kind: name.endsWith(PROPOSED) ? name.slice(0, -PROPOSED.length) : name,
        marker,
        proposed: name.endsWith(PROPOSED),
      }))
    },
    propose: async (kind, marker) => {
      await db
        .insertInto('artifact_stores')
        .values({ name: `${kind}${PROPOSED}`, marker })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ marker }))
        .execute()
    },
    confirm: async (kind) => {
      await db
        .updateTable('artifact_stores')
        .set({ name: kind })
        .where('name', '=', `${kind}${PROPOSED}`)
        .executeTakeFirst()
    },
  }
}
