import type { TestDatabase } from '@aduana/testkit/database'

/** The initial state of the schedules, which is restored before each of them. */
export interface WorldSnapshot<World> {
  world: World
  /** Restores every table to its state when the world was built. */
  restore(): Promise<void>
}

/** Disables triggers and the checks of foreign keys. */
const AS_REPLICA = 'set local session_replication_role = replica'

/** Builds a world in emptied tables, and copies their rows into a separate schema. */
export async function buildIn<World>(
  { pool }: TestDatabase,
  tables: readonly string[],
  build: () => Promise<World>,
): Promise<WorldSnapshot<World>> {
  const cleared = tables.map((table) => `delete from ${table}`).join('; ')
  await pool.query(
    `begin; ${AS_REPLICA}; ${cleared}; commit; drop schema if exists kept cascade; create schema kept`,
  )
  const world = await build()
  const filled: string[] = []
  for (const table of tables) {
    const kept = await pool.query(`create table kept.${table} as select * from public.${table}`)
    if ((kept.rowCount ?? 0) > 0) filled.push(table)
  }
  const refilled = filled.map(
    (table) => `insert into ${table} overriding system value select * from kept.${table}`,
  )
  const restoring = `begin; ${AS_REPLICA}; ${cleared}; ${refilled.join('; ')}; commit`
  return { world, restore: async () => void (await pool.query(restoring)) }
}
