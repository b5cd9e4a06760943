import type pg from 'pg'

/** The connection of a computation, with its temporary tables. */
export interface Session {
  client: pg.PoolClient
  /** Runs a statement. Throws the reason of the signal if the computation is cancelled. */
  run<Row extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<pg.QueryResult<Row>>
  /** Sets planner settings until the transaction ends. */
  set(settings: Readonly<Record<string, string>>): Promise<void>
  /**
   * Stores the rows of a query in a temporary table and collects statistics of the `analysed` columns, by default of
   * all. Returns the name of the table.
   */
  materialize(query: string, analysed?: readonly string[]): Promise<string>
  /** Drops the temporary tables. */
  clear(): Promise<void>
}

/** Planner settings for statements that aggregate many rows. */
export const SETTINGS = {
  // Room for hash tables of a few hundred thousand groups.
  work_mem: '64MB',
  jit: 'off',
  // Sorting the values of each group is cheaper than sorting all rows by group and value.
  enable_presorted_aggregate: 'off',
}

/** Opens a session on a connection. One transaction may hold several sessions, one after another. */
export function openSession(client: pg.PoolClient, signal: AbortSignal | undefined): Session {
  const tables: string[] = []
  const run = <Row extends pg.QueryResultRow>(sql: string, values?: unknown[]) => {
    signal?.throwIfAborted()
    return client.query<Row>(sql, values)
  }
  return {
    client,
    run,
    async set(settings) {
      const calls = Object.entries(settings).map(([name, value]) => `set_config('${name}', '${value}', true)`)
      await run(`select ${calls.join(', ')}`)
    },
    async materialize(query, analysed = []) {
      const name = `pg_temp.metrics_${tables.length}`
      await run(`create temp table metrics_${tables.length} on commit drop as ${query}`)
      tables.push(name)
      await run(`analyze ${name}${analysed.length === 0 ? '' : ` (${analysed.join(', ')})`}`)
      return name
    },
    async clear() {
      if (tables.length > 0) await run(`drop table ${tables.join(', ')}`)
      tables.length = 0
    },
  }
}
