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

/** Returns the connection without `release`, which only this module may call. */
function borrowed(client: pg.PoolClient): pg.PoolClient {
  return new Proxy(client, {
    get: (target, property) =>
      property === 'release' ? () => undefined : Reflect.get(target, property, target),
  })
}
