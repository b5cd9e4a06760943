import { createDatabase, type Database } from '@aduana/db/database'
import pg from 'pg'

/** A statement that waits until the scheduler permits it. */
interface Gate {
  statement: string
  open: () => void
}

/** Connections that execute a statement only when the scheduler permits it. */
export interface Session {
  name: string
  db: Database
  pool: pg.Pool
  /** The statements of the current work so far, in order. */
  readonly log: string[]
  /** Starts `work` and holds it before its first statement. */
  start(work: () => Promise<unknown>): void
  /** The statement that waits for permission; undefined while one runs, or when the work has ended. */
  waiting(): string | undefined
  /** How the work ended; undefined while it is in progress. */
  ending(): Ending | undefined
  /** True while PostgreSQL executes a statement. */
  running(): boolean
  /** Permits the waiting statement. */
  permit(): void
  /** Process ids of the session's connections. */
  pids(): number[]
  /** Resolves at the next change of this state. */
  changed(): Promise<void>
  close(): Promise<void>
}

/** How the work of a session ended. */
export type Ending = { kind: 'returned'; value: unknown } | { kind: 'threw'; error: unknown }

/** Milliseconds after which PostgreSQL looks for a deadlock among sessions, instead of a second. */
const DEADLOCK_TIMEOUT_MS = 50

/** Opens a session on a database. Its work must use only the `db` and `pool` of the session. */
export function openSession(name: string, url: string): Session {
  const pool = new pg.Pool({
    connectionString: url,
    max: 4,
    options: `-c deadlock_timeout=${DEADLOCK_TIMEOUT_MS}`,
    application_name: `session ${name}`,
  })
  const gates: Gate[] = []
  const pids = new Set<number>()
  let log: string[] = []
  let inFlight = 0
  let ending: Ending | undefined
  let wake: () => void = () => undefined
  let change = new Promise<void>((resolve) => {
    wake = resolve
  })
  const notify = () => {
    const resolve = wake
    change = new Promise<void>((next) => {
      wake = next
    })
    resolve()
  }
  const gated = async <T>(statement: string, run: () => Promise<T>): Promise<T> => {
    await new Promise<void>((open) => {
      gates.push({ statement, open })
      notify()
    })
    inFlight += 1
    try {
      return await run()
    } finally {
      inFlight -= 1
      notify()
    }
  }
  const gate = (client: pg.PoolClient): pg.PoolClient =>
    new Proxy(client, {
      get: (target, property) => {
        if (property !== 'query') {
          const value: unknown = Reflect.get(target, property, target)
          return typeof value === 'function' ? value.bind(target) : value
        }
        return (query: string, values?: unknown[]) => gated(query, () => target.query(query, values))
      },
    })
  // A session may terminate the connection of another, as the product does. The current statement then fails.
  pool.on('error', () => undefined)
  pool.on('connect', (client) => {
    const pid: unknown = Reflect.get(client, 'processID')
    if (typeof pid === 'number') pids.add(pid)
  })
  const gatedPool: pg.Pool = new Proxy(pool, {
    get: (target, property) => {
      if (property === 'connect') return async () => gate(await target.connect())
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return {
    name,
    pool: gatedPool,
    db: createDatabase(gatedPool),
    get log() {
      return log
    },
    start: (work) => {
      log = []
      ending = undefined
      const end = (value: Ending) => {
        ending = value
        notify()
      }
      work().then(
        (value) => end({ kind: 'returned', value }),
        (error: unknown) => end({ kind: 'threw', error }),
      )
    },
    waiting: () => gates[0]?.statement,
    ending: () => ending,
    running: () => inFlight > 0,
    permit: () => {
      const next = gates.shift()
      if (!next) throw new Error(`session ${name} has no statement that waits`)
      log.push(next.statement)
      next.open()
    },
    pids: () => [...pids],
    changed: () => change,
    close: () => pool.end(),
  }
}
