import { realpath } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative } from 'node:path'
import { EngineError } from '../errors.ts'
import type { Limits, TaskProgress } from '../protocol.ts'
import type { Duck } from './duck.ts'

/** What a running task works with. */
export interface TaskContext {
  /** A folder of its own for intermediate files. It is removed afterwards. */
  readonly tempDir: string
  readonly limits: Limits
  readonly signal: AbortSignal
  /** Reports the progress of the task. Sent a few times a second. */
  report(progress: TaskProgress): void
}

/** Resolves a result's path and rejects one outside the task's folder. */
export async function pathInside(workDir: string, path: string): Promise<string> {
  const folder = await realpath(workDir)
  const target = join(await realpath(dirname(path)), basename(path))
  const way = relative(folder, target)
  if (way === '' || way.startsWith('..') || isAbsolute(way)) {
    throw new EngineError('bad_input', `results must be in the task's folder, ${path} is not`)
  }
  return target
}

/** Runs `work`, interrupts the instance if the context's signal is aborted, and closes the instance. */
export async function withDuck<T>(
  duck: Duck,
  context: TaskContext,
  work: (duck: Duck) => Promise<T>,
): Promise<T> {
  const interrupt = () => duck.interrupt()
  context.signal.addEventListener('abort', interrupt)
  try {
    if (context.signal.aborted) duck.interrupt()
    return await work(duck)
  } finally {
    context.signal.removeEventListener('abort', interrupt)
    duck.close()
  }
}
