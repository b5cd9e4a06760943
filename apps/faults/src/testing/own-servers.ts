import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '@aduana/local/postgres'
import { startRedis } from '@aduana/local/redis'

/** A server that a test may break. */
export interface OwnServer {
  url: string
  /** Its folder, which contains the data directory `data`. */
  dir: string
  port: number
  signal(name: NodeJS.Signals): void
  /** Stops it and waits until it has ended: with a clean shutdown unless a signal is given. */
  stop(signal?: NodeJS.Signals): Promise<void>
  /** Starts it again on the same port. */
  start(): Promise<void>
  /** Stops it and removes its files. */
  close(): Promise<void>
}

interface Running {
  url: string
  pid: number
  port: number
  service: { exited: Promise<unknown> }
  stop(): Promise<void>
}

/** Starts a Redis for one test. With `keepsData` its data survives a restart. */
export function ownRedis(options: { keepsData: boolean }): Promise<OwnServer> {
  return ownServer('aduana-redis-', (dir, port) =>
    startRedis({ dir, persistent: options.keepsData, ...(port === undefined ? {} : { port }) }),
  )
}

/** Starts a PostgreSQL for one test. `prepare` fills its folder before the first start, and may add settings. */
export function ownPostgres(
  settings: Record<string, string> = {},
  prepare: (dir: string) => Promise<Record<string, string>> = async () => ({}),
): Promise<OwnServer> {
  let more: Record<string, string> = {}
  const start = async (dir: string, port?: number) => {
    if (port === undefined) more = await prepare(dir)
    return startPostgres({
      dir,
      durable: false,
      // Commits survive a crash of the server, though not of the machine.
      settings: { synchronous_commit: 'on', ...settings, ...more },
      ...(port === undefined ? {} : { port }),
    })
  }
  return ownServer('aduana-postgres-', start)
}

async function ownServer(
  prefix: string,
  start: (dir: string, port?: number) => Promise<Running>,
): Promise<OwnServer> {
  const dir = await mkdtemp(join(tmpdir(), prefix))
  let running = await start(dir).catch(async (error: unknown) => {
    await rm(dir, { recursive: true, force: true })
    throw error
  })
  const { url, port } = running
  const stop = async (signal?: NodeJS.Signals) => {
    if (signal === undefined) return running.stop()
    process.kill(running.pid, signal)
    await running.service.exited
  }
  return {
    url,
    dir,
    port,
    signal: (name) => void process.kill(running.pid, name),
    stop,
    start: async () => {
      running = await start(dir, port)
      if (running.port !== port) throw new Error(`port ${port} was taken meanwhile`)
    },
    close: async () => {
      await stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}
