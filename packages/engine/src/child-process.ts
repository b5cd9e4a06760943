import { type ChildProcess, fork } from 'node:child_process'
import { deferred } from './deferred.ts'
import { EngineError } from './errors.ts'
import { type FromChild, fromChild, type ToChild } from './protocol.ts'

/** A child process of the engine. */
export interface Child {
  readonly pid: number | undefined
  /** Resolves when the child can take a task. Rejects with `engine_crashed` if it cannot start. */
  readonly ready: Promise<void>
  send(message: ToChild): void
  kill(): void
  /** Resolves once the process has ended. */
  readonly gone: Promise<void>
}

/** Events of a child that its owner must handle. */
export interface ChildEvents {
  message(message: FromChild): void
  /** The process has ended; the reason is an error with a stable code. */
  exit(error: EngineError): void
}

const STDERR_KEPT = 4096
/** Next to this module, also in a bundle. Its source file is never executed. */
const MAIN = new URL(
  import.meta.url.endsWith('.ts') ? '../dist/child/main.js' : './child/main.js',
  import.meta.url,
)

/** Starts a child with a minimal environment: only the variables that a program needs to run. */
export function spawnChild(maxOldSpaceMb: number, events: ChildEvents): Child {
  const child = fork(MAIN, [], {
    execArgv: [`--max-old-space-size=${maxOldSpaceMb}`, '--max-semi-space-size=8'],
    env: {
      PATH: process.env.PATH ?? '',
      NODE_OPTIONS: process.env.NODE_OPTIONS ?? '',
      TZ: 'UTC',
      LANG: 'C.UTF-8',
      UV_THREADPOOL_SIZE: '8',
    },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_KEPT)
  })
  const started = deferred<void>()
  const ended = deferred<void>()
  // Senders of tasks await `ready`, but a start can fail before there is one.
  started.promise.catch(() => undefined)
  const end = (error: EngineError) => {
    started.reject(error)
    ended.resolve()
    events.exit(error)
  }
  child.once('error', (error) => {
    if (child.pid === undefined)
      end(new EngineError('engine_crashed', `the engine could not start: ${error.message}`, { cause: error }))
  })
  // 'close' rather than 'exit', because all of stderr has been read by then.
  child.once('close', (code, signal) => end(exitError(code, signal, stderr)))
  child.on('message', (raw) => {
    const message = fromChild.parse(raw)
    if (message.kind === 'ready') started.resolve()
    events.message(message)
  })
  return {
    pid: child.pid,
    ready: started.promise,
    send: (message) => sendTo(child, message),
    kill: () => void child.kill('SIGKILL'),
    gone: ended.promise,
  }
}

// A message that cannot be sent means that the process is ending; its exit event reports it.
function sendTo(child: ChildProcess, message: ToChild): void {
  if (child.connected) child.send(message, () => undefined)
}

function exitError(code: number | null, signal: NodeJS.Signals | null, stderr: string): EngineError {
  if (/out of memory|bad_alloc/i.test(stderr)) {
    return new EngineError('engine_out_of_memory', 'the engine ran out of memory and was stopped')
  }
  const how = signal ? `was killed by ${signal}` : `exited with ${code}`
  const tail = stderr.trim().split('\n').slice(-3).join(' ')
  return new EngineError('engine_crashed', `the engine ${how}${tail ? `: ${tail}` : ''}`)
}
