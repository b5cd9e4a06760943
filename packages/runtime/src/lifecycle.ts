import type { Logger } from './logger.ts'

/** Resources that are released last in, first out. */
export interface Resources {
  /** Remember how to release something that was just acquired. */
  add(name: string, release: () => Promise<void> | void): void
  /**
   * Release everything, newest first. One that fails is logged and the others are still released. After `timeoutMs`
   * nobody is waited for any more: what says goodbye to a server that is away may wait for it for ever. Runs once.
   */
  release(): Promise<void>
}

/** An empty stack of resources, which may take `timeoutMs` milliseconds to be released, all together. */
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
    // What is released at once is so even now.
    if (late.aborted) setImmediate(onLate)
  })
  try {
    await Promise.race([releasing, tooLate])
  } finally {
    late.removeEventListener('abort', onLate)
  }
}

/**
 * Resolves with the reason when the process is asked to stop: SIGINT, SIGTERM, SIGHUP, or the process `parentPid` gone.
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

/** True when a process with this id exists, whoever owns it. */
export function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
