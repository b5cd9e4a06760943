import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { until } from './until.ts'

/** A process of the product, as an operator would start it. */
export interface ProductProcess {
  pid: number
  /** All lines that it has written so far. */
  lines: readonly string[]
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** True while it has not ended. */
  alive(): boolean
  signal(name: NodeJS.Signals): void
  /** Waits until it has logged an event of this name. */
  untilLogged(event: string, within?: number): Promise<void>
  /** Waits until a signal has stopped it. SIGCONT resumes it. */
  untilFrozen(within?: number): Promise<void>
  /** Sends SIGTERM and waits until it has ended; kills it after ten seconds. */
  stop(): Promise<void>
}

/** Starts the built program of an app. Its environment contains only `environment` and what Node needs. */
export function startProduct(app: 'api' | 'worker', environment: Record<string, string>): ProductProcess {
  const { PATH, NODE_OPTIONS } = process.env
  const built = app === 'api' ? 'dist' : 'bundle'
  const main = fileURLToPath(new URL(`../../../apps/${app}/${built}/main.js`, import.meta.url))
  const child = spawn(process.execPath, [main], {
    env: { PATH, NODE_OPTIONS, ADUANA_PARENT_PID: String(process.pid), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const { pid } = child
  if (pid === undefined) throw new Error(`${main} could not be started`)
  const lines: string[] = []
  collect(child.stdout, lines)
  collect(child.stderr, lines)
  let ended = false
  const exited = once(child, 'exit').then(([code, signal]) => {
    ended = true
    return { code: typeof code === 'number' ? code : null, signal: signal ?? null }
  })
  return {
    pid,
    lines,
    exited,
    alive: () => !ended,
    signal: (name) => void child.kill(name),
    untilLogged: async (event, within = 20_000) => {
      const mark = `"event":"${event}"`
      await until(
        () => {
          if (ended)
            throw new Error(`${app} ended before it logged ${event}:\n${lines.slice(-20).join('\n')}`)
          return lines.some((line) => line.includes(mark))
        },
        { within, what: `${app} logs ${event}` },
      )
    },
    untilFrozen: async (within) => {
      await until(async () => /^State:\s+T/m.test(await readFile(`/proc/${pid}/status`, 'utf8')), {
        ...(within === undefined ? {} : { within }),
        what: `${app} is stopped`,
      })
    },
    stop: async () => {
      if (ended) return
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await exited
      clearTimeout(timer)
    },
  }
}

function collect(stream: NodeJS.ReadableStream, lines: string[]): void {
  let rest = ''
  stream.on('data', (chunk: Buffer) => {
    const parts = (rest + chunk.toString('utf8')).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts)
  })
}
