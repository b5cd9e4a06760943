import { Kysely, PostgresDialect } from 'kysely'
import type pg from 'pg'
import type { Tx } from './database.ts'
import type { DB } from './schema.generated.ts'

/**
 * Runs `work` in one transaction and also passes its connection, which COPY and the process id of the backend require.
 * Commits when `work` resolves. A broken connection is not returned to the pool.
 */
export async function inTransactionOnConnection<T>(
  pool: pg.Pool,
  work: (tx: Tx, client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect()
  let broken: Error | undefined
  const onError = (error: Error) => {
    broken = error
  }
  client.on('error', onError)
  const single = { connect: async () => borrowed(client), end: async () => undefined }
  const db = new Kysely<DB>({ dialect: new PostgresDialect({ pool: single }) })
  try {
    return await db.transaction().execute((transaction) => work(transaction as Tx, client))
  } finally {
    client.off('error', onError)
    client.release(broken ?? false)
  }
}

/** Returns the process id of the backend that serves a connection. Through a pooler, it is valid until the transaction ends. */
export async function backendPid(client: pg.PoolClient): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  const [row] = rows
  if (!row) throw new Error('the connection has no backend')
  return row.pid
}

/** Returns the connection without `release`, which only this module may call. */
function borrowed(client: pg.PoolClient): pg.PoolClient {
  return new Proxy(client, {
    get: (target, property) =>
      property === 'release' ? () => undefined : Reflect.get(target, property, target),
  })
}
