import { SettingsError } from './config.ts'
import type { Logger } from './logger.ts'

/** A stack of resources, released in reverse order. */
export interface Resources {
  /** Adds a resource and how to release it. */
  add(name: string, release: () => Promise<void> | void): void
  /**
   * Releases everything, newest first. A failure is logged, and the others are still released. After the timeout pending
   * releases are abandoned: closing a connection to an unavailable server may never finish. Runs once.
   */
  release(): Promise<void>
}

/** Returns an empty stack of resources. `timeoutMs` limits the release of all of them together. */
export function createResources(logger: Logger, timeoutMs = 15_000): Resources {
  const stack: { name: string; release: () => Promise<void> | void }[] = []
  let releasing: Promise<void> | undefined
  const releaseAll = async () => {
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(), timeoutMs)
    for (let next = stack.pop(); next; next = stack.pop()) {
      try {
        await releaseInTime(next, late.signal)
      } catch (error) {
        logger.error({ event: 'lifecycle.release_failed', resource: next.name, err: error })
      }
    }
    clearTimeout(timer)
  }
  return {
    add: (name, release) => void stack.push({ name, release }),
    release: () => {
      releasing ??= releaseAll()
      return releasing
    },
  }
}

async function releaseInTime(
  { name, release }: { name: string; release: () => Promise<void> | void },
  late: AbortSignal,
): Promise<void> {
  const releasing = Promise.resolve(release())
  let onLate: () => void = () => undefined
  const tooLate = new Promise<never>((_, reject) => {
    onLate = () => reject(new Error(`${name} was not released in time`))
    late.addEventListener('abort', onLate)
    // A resource that is released synchronously is not too late.
    if (late.aborted) setImmediate(onLate)
  })
  try {
    await Promise.race([releasing, tooLate])
  } finally {
    late.removeEventListener('abort', onLate)
  }
}

/**
 * Resolves with the reason when the process must stop: SIGINT, SIGTERM, SIGHUP, or the process `parentPid` has ended.
 */
export function untilStopped(parentPid: number | undefined): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve(signal))
    if (parentPid === undefined) return
    const timer = setInterval(() => {
      if (processExists(parentPid)) return
      clearInterval(timer)
      resolve('parent gone')
    }, 500)
    timer.unref()
  })
}

/**
 * Runs a program and exits the process with the code that it returns. After an error, prints the error and exits with 1. Of
 * wrong settings, and of the classes `expected`, only the message is printed: it says what to do.
 */
export function runProgram(
  main: () => Promise<number>,
  expected: readonly (abstract new (...parameters: never[]) => Error)[],
): void {
  main().then(
    (code) => process.exit(code),
    (error: unknown) => {
      const isKnown =
        error instanceof Error && [SettingsError, ...expected].some((kind) => error instanceof kind)
      const text = isKnown ? error.message : error instanceof Error ? error.stack : String(error)
      process.stderr.write(`${text}\n`)
      process.exit(1)
    },
  )
}

/** Returns true if a process with this id exists, also of another user. */
export function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
