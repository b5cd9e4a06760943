import { Socket } from 'node:net'
import type { Logger } from '@aduana/runtime/logger'
import pg from 'pg'

/** A connection of a pool, as this watch sees it. */
interface Watched {
  pid: number
  socket: Socket
  inUse: boolean
  /** Bytes sent when the last query had been answered: if more have been sent since, an answer is due. */
  sentAtRest: number
  sent: number
  received: number
  /** When bytes were last seen to go either way. */
  movedAt: number
  /** Its backend was seen to wait for us, while we wait for it. */
  suspected: boolean
}

export interface SilenceOptions {
  url: string
  applicationName: string
  logger: Logger
  /** Milliseconds without a byte after which the server is asked about a connection; 10 s unless said. */
  askAfter?: number
}

const POLL_INTERVAL_MS = 2000
const PROBE_TIMEOUT_MS = 5000

/**
 * Give up connections that the network has forgotten without a word, which would otherwise be waited for until the
 * kernel gives up after a quarter of an hour. One on which we wait, but nothing moves, is asked after on another: when its
 * backend waits for us as well, or is gone, twice in a row, it is dead, and so are those at rest that were older. The
 * backend is ended, so that its locks do not outlive it. Statements that take long are not disturbed.
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

/** Those on which an answer has been due for so long without a byte going either way. */
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
  // Those at rest went the same way over the same network; none of them has been heard of since.
  const since = Math.max(...dead.map(({ movedAt }) => movedAt))
  const resting = all.filter((one) => !one.inUse && one.movedAt <= since)
  for (const { socket } of [...dead, ...resting])
    socket.destroy(new Error('Connection terminated: no response from PostgreSQL'))
  options.logger.warn({ event: 'db.silent_connections', ended: dead.length, atRest: resting.length })
}

/**
 * The backends that are at work, by another connection; those that wait to hear from us, for the second time, are ended.
 * @throws when the server cannot be reached; then nothing is known
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
    // A server that does not answer does not answer a farewell either.
    client.connection.stream.destroy()
  }
}
