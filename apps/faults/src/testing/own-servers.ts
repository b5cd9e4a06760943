import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '@aduana/local/postgres'
import { startRedis } from '@aduana/local/redis'

/** A server that a test may break. */
export interface OwnServer {
  url: string
  /** Its folder; that of its data is `data` in it. */
  dir: string
  port: number
  signal(name: NodeJS.Signals): void
  /** End it and wait until it has: gently unless a signal is given. */
  stop(signal?: NodeJS.Signals): Promise<void>
  /** Start it again on the same port. */
  start(): Promise<void>
  /** End it for good and remove its files. */
  close(): Promise<void>
}

interface Running {
  url: string
  pid: number
  port: number
  service: { exited: Promise<unknown> }
  stop(): Promise<void>
}

/** A Redis of a test's own; `keepsData` says whether a restart finds what it held. */
export function ownRedis(options: { keepsData: boolean }): Promise<OwnServer> {
  return ownServer('aduana-redis-', (dir, port) =>
    startRedis({ dir, persistent: options.keepsData, ...(port === undefined ? {} : { port }) }),
  )
}

/** A PostgreSQL of a test's own; `prepare` fills its folder before it starts for the first time, and may add settings. */
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
      // What has been committed outlives the server, if not the machine.
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
