import { Socket } from 'node:net'
import type { Logger } from '@aduana/runtime/logger'
import pg from 'pg'

/** The state of a watched connection. */
interface Watched {
  pid: number
  socket: Socket
  inUse: boolean
  /** Bytes sent when the last query had been answered. If more have been sent since, a response is due. */
  sentAtRest: number
  sent: number
  received: number
  /** When bytes were last sent or received. */
  movedAt: number
  /** The last check found that its backend waits for the client, while the client waits for it. */
  suspected: boolean
}

export interface SilenceOptions {
  url: string
  applicationName: string
  logger: Logger
  /** Milliseconds without a byte after which a connection is checked; 10 s by default. */
  askAfter?: number
}

const POLL_INTERVAL_MS = 2000
const PROBE_TIMEOUT_MS = 5000

/**
 * Closes connections that the network has dropped silently. Otherwise the client would wait until the kernel gives up after
 * 15 minutes. A connection that waits for a response without receiving a byte is checked over another connection: if its
 * backend waits for the client too, or is gone, in two checks, it is dead, and so are older idle connections. Its backend is
 * terminated, so that it releases its locks. Long statements are not affected.
 */
export function closeSilentConnections(pool: pg.Pool, options: SilenceOptions): void {
  const { askAfter = 10_000 } = options
  const watched = new Map<pg.PoolClient, Watched>()
  pool.on('connect', (client) => {
    const { stream } = client.connection
    const pid: unknown = Reflect.get(client, 'processID')
    if (!(stream instanceof Socket) || typeof pid !== 'number') return
    const now = performance.now()
    const [sent, received] = [stream.bytesWritten, stream.bytesRead]
    const entry = { pid, socket: stream, inUse: true, sentAtRest: sent, sent, received, movedAt: now }
    watched.set(client, { ...entry, suspected: false })
    client.on('drain', () => {
      const one = watched.get(client)
      if (one) one.sentAtRest = stream.bytesWritten
    })
  })
  pool.on('acquire', (client) => setInUse(watched.get(client), true))
  pool.on('release', (_error, client) => setInUse(watched.get(client), false))
  pool.on('remove', (client) => watched.delete(client))

  let checking = false
  const timer = setInterval(() => {
    if (pool.ended) clearInterval(timer)
    const silent = silentOf([...watched.values()], askAfter)
    if (silent.length === 0 || checking) return
    checking = true
    closeDead(silent, [...watched.values()], options)
      .catch((error: unknown) => options.logger.warn({ event: 'db.silence_not_explained', err: error }))
      .finally(() => {
        checking = false
      })
  }, POLL_INTERVAL_MS)
  timer.unref()
}

function setInUse(one: Watched | undefined, inUse: boolean): void {
  if (one) one.inUse = inUse
}

/** Returns the connections on which a response has been due for `askAfter` ms without a byte in either direction. */
function silentOf(all: readonly Watched[], askAfter: number): Watched[] {
  const now = performance.now()
  return all.filter((one) => {
    const { bytesWritten, bytesRead } = one.socket
    if (bytesWritten !== one.sent || bytesRead !== one.received) {
      Object.assign(one, { sent: bytesWritten, received: bytesRead, movedAt: now, suspected: false })
      return false
    }
    return bytesWritten !== one.sentAtRest && now - one.movedAt >= askAfter
  })
}

async function closeDead(
  silent: readonly Watched[],
  all: readonly Watched[],
  options: SilenceOptions,
): Promise<void> {
  const asked = silent.map((one) => ({ one, received: one.socket.bytesRead, again: one.suspected }))
  const working = await askServer(asked, options)
  const dead: Watched[] = []
  for (const { one, received, again } of asked) {
    one.suspected = !working.has(one.pid) && one.socket.bytesRead === received
    if (one.suspected && again) dead.push(one)
  }
  if (dead.length === 0) return
  // Idle connections used the same network, and have received nothing since.
  const since = Math.max(...dead.map(({ movedAt }) => movedAt))
  const resting = all.filter((one) => !one.inUse && one.movedAt <= since)
  for (const { socket } of [...dead, ...resting])
    socket.destroy(new Error('Connection terminated: no response from PostgreSQL'))
  options.logger.warn({ event: 'db.silent_connections', ended: dead.length, atRest: resting.length })
}

/**
 * Returns the pids of the backends that are executing a statement. Backends that wait for the client in two checks are
 * terminated. @throws when the server cannot be reached; then nothing is known
 */
async function askServer(
  asked: readonly { one: Watched; again: boolean }[],
  { url, applicationName }: SilenceOptions,
): Promise<Set<number>> {
  const client = new pg.Client({
    connectionString: url,
    application_name: `${applicationName} probe`,
    connectionTimeoutMillis: PROBE_TIMEOUT_MS,
    query_timeout: PROBE_TIMEOUT_MS,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const rows = await client.query<{ pid: number; working: boolean }>(
      `select pid, state = 'active' and wait_event is distinct from 'ClientRead' as working
       from pg_stat_activity where pid = any ($1) and application_name = $2`,
      [asked.map(({ one }) => one.pid), applicationName],
    )
    const working = new Set(rows.rows.filter((row) => row.working).map(({ pid }) => pid))
    const waiting = rows.rows.filter((row) => !row.working).map(({ pid }) => pid)
    const end = asked.filter(({ one, again }) => again && waiting.includes(one.pid)).map(({ one }) => one.pid)
    if (end.length > 0) await client.query('select pg_terminate_backend(p) from unnest($1::int[]) p', [end])
    return working
  } finally {
    // A server that does not respond does not respond to a termination message either.
    client.connection.stream.destroy()
  }
}
