import type { Logger } from '@aduana/runtime/logger'
import pg from 'pg'
import { closeSilentConnections } from './silent-connections.ts'

// Days and bigints keep their exact text: a Date would move days across time zones, a number would lose digits.
const TYPES = new pg.TypeOverrides()
TYPES.setTypeParser(pg.types.builtins.DATE, (text) => text)
TYPES.setTypeParser(pg.types.builtins.INT8, (text) => text)
TYPES.setTypeParser(pg.types.builtins.NUMERIC, (text) => text)

/**
 * A process that is frozen, or whose machine is gone, keeps its locks no longer than so: within a transaction it speaks
 * every few seconds, and a transaction that may be silent for longer says so itself.
 */
const SESSION = [
  'timezone=UTC',
  'idle_in_transaction_session_timeout=15000',
  'tcp_keepalives_idle=10',
  'tcp_keepalives_interval=5',
  'tcp_keepalives_count=3',
]
  .map((setting) => `-c ${setting}`)
  .join(' ')

export interface PoolOptions {
  url: string
  max: number
  /** Shown in pg_stat_activity. */
  applicationName: string
  logger: Logger
}

/**
 * A pool of connections. Every connection has bounded waits; one that breaks at rest is logged and replaced, it does not
 * end the process; one that the network has forgotten is noticed.
 */
export function createPool(options: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.max,
    application_name: options.applicationName,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    types: TYPES,
    options: SESSION,
  })
  pool.on('error', (error) => options.logger.warn({ event: 'db.connection_lost', err: error }))
  // A connection that is checked out reports its own breaking too; without a listener that would end the process.
  pool.on('connect', (client) =>
    client.on('error', (error) => options.logger.warn({ event: 'db.connection_lost', err: error })),
  )
  closeSilentConnections(pool, options)
  return pool
}
