import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '@aduana/local/postgres'
import { startRedis } from '@aduana/local/redis'

/** A server that a test may break. */
export interface OwnServer {
  url: string
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

/** A PostgreSQL of a test's own. */
export function ownPostgres(settings: Record<string, string> = {}): Promise<OwnServer> {
  return ownServer('aduana-postgres-', (dir, port) =>
    startPostgres({
      dir,
      durable: false,
      // What has been committed outlives the server, if not the machine.
      settings: { synchronous_commit: 'on', ...settings },
      ...(port === undefined ? {} : { port }),
    }),
  )
}

async function ownServer(
  prefix: string,
  start: (dir: string, port?: number) => Promise<Running>,
): Promise<OwnServer> {
  const dir = await mkdtemp(join(tmpdir(), prefix))
  let running = await start(dir)
  const { url, port } = running
  const stop = async (signal?: NodeJS.Signals) => {
    if (signal === undefined) return running.stop()
    process.kill(running.pid, signal)
    await running.service.exited
  }
  return {
    url,
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
