import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Database } from '@aduana/db/database'
import { backoff } from '@aduana/runtime/backoff'
import type { Logger } from '@aduana/runtime/logger'
import pg from 'pg'
import {
  claimEndedSessions,
  type EndedSessions,
  findEndedSessions,
  holdsSession,
  lockSession,
  registerSession,
  withdrawSession,
} from './ended-sessions.ts'
import { deregisterWorker } from './worker-registry.ts'

/** The session of a worker in PostgreSQL. It ends with the process, which other workers notice within a second or two. */
export interface WorkerSession {
  /** Removes the worker from the registry and ends the session. Call it when the worker holds no more work. */
  close(): Promise<void>
}

export interface WorkerSessionOptions {
  db: Database
  /** For the connection of the session. */
  databaseUrl: string
  /** Id of this worker, which no other process has ever had. */
  worker: string
  logger: Logger
  /** Takes over the work of a worker whose session has ended. Only one of all workers calls it for each death. */
  onEnded: (worker: string) => Promise<void>
  /** Milliseconds for which the own session must have been open before other workers are judged; 3000 unless given. */
  judgeAfter?: number
}

const POLL_MS = 1000
/** Milliseconds after which a session that looks ended is checked again. A live worker has reopened it by then. */
const CONFIRM_MS = 500
/**
 * A worker judges others only once its own session is this old: a restart of PostgreSQL ends all sessions, and the others
 * take as long to reopen theirs.
 */
const MIN_SESSION_AGE_MS = 3000
/** The longest pause is well below `MIN_SESSION_AGE_MS`. */
const RECONNECT_MS = { first: 250, longest: 1000 }
const RESPONSE_TIMEOUT_MS = 5000

/** The connection goes through a pooler, where neither locks nor backends belong to a client. */
class PooledConnectionError extends Error {
  override readonly name = 'PooledConnectionError'
  constructor() {
    super('DATABASE_URL points to a connection pooler')
  }
}

interface OpenSession {
  client: pg.Client
  session: string
  /** Process id of the backend that serves the connection. */
  pid: number
  openedAt: number
  /** Aborted when the connection has ended. */
  lost: AbortSignal
}

/**
 * Opens the session of this worker, keeps it open, and watches those of all other workers. Resolves after the first try,
 * even if it failed: a worker can work without a session, and its death then shows in missing heartbeats. A lost session is
 * opened again.
 */
export async function openWorkerSession(options: WorkerSessionOptions): Promise<WorkerSession> {
  const { db, worker, logger } = options
  const stopping = new AbortController()
  let onTried: () => void = () => undefined
  const tried = new Promise<void>((resolve) => {
    onTried = resolve
  })
  const keeping = (async () => {
    let failures = 0
    const onOpen = () => {
      failures = 0
      onTried()
    }
    while (!stopping.signal.aborted) {
      try {
        await keepSession(options, stopping.signal, onOpen)
      } catch (error) {
        if (error instanceof PooledConnectionError) {
          logger.warn({ event: 'worker.session_pooled', err: error }, POOLED)
          return
        }
        logger.warn({ event: 'worker.session_lost', err: error })
      } finally {
        onTried()
      }
      failures += 1
      await pause(backoff(failures, RECONNECT_MS), stopping.signal)
    }
  })()
  await tried
  return {
    close: async () => {
      stopping.abort()
      await keeping
      await deregisterWorker(db, worker)
    },
  }
}

const POOLED =
  'If this worker dies, other workers notice it after about 13 seconds instead of one or two. To change that, set DATABASE_URL to PostgreSQL itself, not to a connection pooler'

/**
 * Opens one session and watches the others until it is lost or the worker stops.
 * @throws PooledConnectionError
 * @throws Error when it cannot be opened or was lost
 */
async function keepSession(
  options: WorkerSessionOptions,
  stopping: AbortSignal,
  onOpen: () => void,
): Promise<void> {
  const { db, worker, logger } = options
  const own = await openSession(options)
  logger.info({ event: 'worker.session_opened', session: own.session, pgPid: own.pid })
  onOpen()
  const ending = AbortSignal.any([stopping, own.lost])
  try {
    while (!stopping.aborted) {
      await watchOthers(own, options)
      await pause(POLL_MS, ending)
      own.lost.throwIfAborted()
    }
  } finally {
    const withdrawn = withdrawSession(db, { worker, session: own.session }).catch((error: unknown) =>
      logger.warn({ event: 'worker.session_not_withdrawn', err: error }),
    )
    // A session that was lost is opened again at once, also while the pool has no connection.
    if (stopping.aborted) await withdrawn
    endConnection(own.client)
  }
}

/** Checks the sessions of the other workers once, and has the work of those that have ended taken over. */
async function watchOthers(
  own: OpenSession,
  { worker, logger, onEnded, judgeAfter = MIN_SESSION_AGE_MS }: WorkerSessionOptions,
): Promise<void> {
  const look = await lookOnce(own, worker)
  if (look.ended.length === 0 || performance.now() - own.openedAt < judgeAfter) return
  await pause(CONFIRM_MS, own.lost)
  own.lost.throwIfAborted()
  for (const ended of await claimEndedSessions(own.client, look)) {
    logger.warn({ event: 'worker.ended', endedWorker: ended }, 'The session of a worker has ended')
    await onEnded(ended).catch((error: unknown) =>
      // The heartbeat timeout then applies, and BullMQ delivers the jobs again.
      logger.error({ event: 'worker.not_taken_over', endedWorker: ended, err: error }),
    )
  }
}

/** @throws PooledConnectionError when another backend than before answers */
async function lookOnce({ client, pid }: OpenSession, worker: string): Promise<EndedSessions> {
  const look = await findEndedSessions(client, worker)
  if (look.pid !== pid) throw new PooledConnectionError()
  return look
}

async function openSession({ databaseUrl, worker }: WorkerSessionOptions): Promise<OpenSession> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: 'aduana worker session',
    keepAlive: true,
    connectionTimeoutMillis: RESPONSE_TIMEOUT_MS,
    query_timeout: RESPONSE_TIMEOUT_MS,
    options:
      '-c idle_session_timeout=0 -c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3',
  })
  const lost = new AbortController()
  client.on('error', (error) => lost.abort(error))
  client.on('end', () => lost.abort(new Error('the connection ended')))
  try {
    await client.connect()
    const session = randomUUID()
    const pid = backendPid(client)
    // A pooler sends its clients an invented process id. One that sends the true id may use another backend for the next
    // statement.
    const locked = await lockSession(client, session, pid)
    if (!locked || !(await holdsSession(client, session, pid))) throw new PooledConnectionError()
    await registerSession(client, { worker, session })
    return { client, session, pid, openedAt: performance.now(), lost: lost.signal }
  } catch (error) {
    endConnection(client)
    throw error
  }
}

/** Returns the process id of the backend, as the server sent it when the connection began; 0 when it sent none. */
export function backendPid(client: pg.Client): number {
  const pid: unknown = Reflect.get(client, 'processID')
  return typeof pid === 'number' ? pid : 0
}

/** Ends a connection without waiting for a server that may not answer. */
function endConnection(client: pg.Client): void {
  client.connection.stream.destroy()
}

async function pause(milliseconds: number, until: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, { signal: until }).catch(() => undefined)
}
