import type pg from 'pg'
import { until } from './until.ts'

/** Waits until exactly this many connections to the database of a pool wait for a lock. */
export async function untilWaiting(pool: pg.Pool, connections: number): Promise<void> {
  await until(
    async () => {
      const found = await pool.query(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      )
      return found.rowCount === connections
    },
    { within: 60_000, what: `${connections} connections wait for a lock` },
  )
}

/**
 * Locks a row while `work` runs. `work` starts transactions in the order in which they must queue for the row. They
 * continue when `work` ends.
 */
export async function holdingRow(
  pool: pg.Pool,
  { table, id }: { table: string; id: string },
  work: () => Promise<void>,
): Promise<void> {
  const holder = await pool.connect()
  try {
    await holder.query('begin')
    await holder.query(`select from ${table} where id = $1 for no key update`, [id])
    await work()
  } finally {
    await holder.query('rollback')
    holder.release()
  }
}
