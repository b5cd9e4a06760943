import { sql } from 'kysely'
import type { Database } from './database.ts'

/** Remember the marker of a store if the database knows none yet, and answer the one that it knows. */
export async function rememberStore(db: Database, name: string, marker: string): Promise<string> {
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
