import { sql } from 'kysely'
import { LOCKS } from './advisory-locks.ts'
import type { Database } from './database.ts'

/** A store that is recorded in the database. `proposed`: its marker may not have been written yet. */
export interface KnownStore {
  kind: string
  marker: string
  proposed: boolean
}

/** The recorded stores. */
export interface StoreRecords {
  known(): Promise<KnownStore[]>
  /** Records a marker before it is written, so that a crash in between can be detected. */
  propose(kind: string, marker: string): Promise<void>
  confirm(kind: string): Promise<void>
}

const PROPOSED = ':proposed'

/** Runs `work` with the recorded stores under an advisory lock. Returns its result. */
export function withStoreRecords<T>(db: Database, work: (records: StoreRecords) => Promise<T>): Promise<T> {
  return db.connection().execute(async (connection) => {
    // A session lock, not a transaction: a proposed marker must survive a crash.
    await sql`select pg_advisory_lock(${LOCKS.artifactStores})`.execute(connection)
    try {
      return await work(recordsOn(connection))
    } finally {
      await sql`select pg_advisory_unlock(${LOCKS.artifactStores})`.execute(connection)
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
