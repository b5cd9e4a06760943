/**
 * SQLSTATE codes of PostgreSQL after which a retry may succeed
 * (https://www.postgresql.org/docs/current/errcodes-appendix.html).
 */
const TRANSIENT_STATES: ReadonlySet<string> = new Set([
  '08000', // connection_exception
  '08001', // sqlclient_unable_to_establish_sqlconnection
  '08003', // connection_does_not_exist
  '08004', // sqlserver_rejected_establishment_of_sqlconnection
  '08006', // connection_failure
  '08007', // transaction_resolution_unknown
  '08P01', // protocol_violation: a pooler that lost its server
  '25006', // read_only_sql_transaction: a server that is being replaced by its standby
  '25P03', // idle_in_transaction_session_timeout
  '25P04', // transaction_timeout
  '40001', // serialization_failure
  '40003', // statement_completion_unknown
  '40P01', // deadlock_detected
  '53000', // insufficient_resources
  '53100', // disk_full
  '53200', // out_of_memory
  '53300', // too_many_connections
  '55006', // object_in_use
  '55P03', // lock_not_available
  '57014', // query_canceled
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '57P05', // idle_session_timeout
  '58000', // system_error
  '58030', // io_error
])

const TRANSIENT_ERRNO: ReadonlySet<string> = new Set([
  // Network and name resolution.
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  // Disks and file systems.
  'ENOSPC',
  'EDQUOT',
  'EROFS',
  'EIO',
  'EBUSY',
  // Limited resources.
  'EMFILE',
  'ENFILE',
  'EAGAIN',
])

/** Returns the SQLSTATE or errno of an error or its causes; undefined without one. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if ('code' in error && typeof error.code === 'string') return error.code
  return errorCode(error.cause)
}

/** Returns the constraint that an error of PostgreSQL names. */
export function violatedConstraint(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if ('constraint' in error && typeof error.constraint === 'string') return error.constraint
  return violatedConstraint(error.cause)
}

/** Returns true if a retry may succeed: after a lost connection, a deadlock, a full disk. */
export function isTransient(error: unknown): boolean {
  const code = errorCode(error)
  if (code !== undefined) return TRANSIENT_STATES.has(code) || TRANSIENT_ERRNO.has(code)
  // node-postgres reports a connection that broke during a query without a code.
  return (
    error instanceof Error &&
    /connection terminated|not queryable|timeout exceeded when trying to connect|timeout expired|query read timeout/i.test(
      error.message,
    )
  )
}
