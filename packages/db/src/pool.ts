import type { Logger } from '@aduana/runtime/logger'
import pg from 'pg'
import { closeSilentConnections } from './silent-connections.ts'

// Dates and bigints stay text: a Date would shift days across time zones, a number would lose digits.
const TYPES = new pg.TypeOverrides()
TYPES.setTypeParser(pg.types.builtins.DATE, (text) => text)
TYPES.setTypeParser(pg.types.builtins.INT8, (text) => text)
TYPES.setTypeParser(pg.types.builtins.NUMERIC, (text) => text)

/**
 * These timeouts bound how long a frozen or vanished process keeps its locks. A transaction sends a statement every few
 * seconds; one that may be idle for longer sets its own timeout.
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
 * Creates a pool of connections with timeouts. An idle connection that breaks is logged and replaced, and does not end the
 * process. Dead connections that the network does not report are closed.
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
  // A connection in use emits its error too. Without a listener that would end the process.
  pool.on('connect', (client) =>
    client.on('error', (error) => options.logger.warn({ event: 'db.connection_lost', err: error })),
  )
  closeSilentConnections(pool, options)
  return pool
}
