import type pg from 'pg'

/** The connection of one computation, with the temporary tables that it makes. */
export interface Session {
  client: pg.PoolClient
  /** Run a statement; stops between statements when the computation is cancelled. */
  run<Row extends pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<pg.QueryResult<Row>>
  /** Set how the statements of the transaction are planned, until it ends. */
  set(settings: Readonly<Record<string, string>>): Promise<void>
  /** Make a temporary table of a query's rows, with statistics of some columns (of all without); its name. */
  materialize(query: string, analysed?: readonly string[]): Promise<string>
  /** Drop the tables that were made. */
  clear(): Promise<void>
}

/** How statements that gather many rows are planned well. */
export const SETTINGS = {
  // Hash tables of a few hundred thousand groups fit.
  work_mem: '64MB',
  jit: 'off',
  // The values of each group are sorted by themselves, which is cheaper than all rows by group and value.
  enable_presorted_aggregate: 'off',
}

/** Names are told apart by the computation, of which one transaction may hold several in turn. */
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
