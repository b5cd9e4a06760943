import type { Engine, RunOptions } from './engine.ts'
import { EngineError } from './errors.ts'

/** The tasks of an engine, without the management of its process. */
export type EngineTasks = Pick<Engine, 'parse' | 'query' | 'session' | 'writeRejects'>

/** Returns the tasks of `small`. A task that runs out of memory is repeated by `large`, which may use more. */
export function orLarger(small: EngineTasks, large: EngineTasks): EngineTasks {
  return {
    parse: (input, options) => tryBoth((engine, how) => engine.parse(input, how), options),
    query: (input, options) => tryBoth((engine, how) => engine.query(input, how), options),
    session: (input, work, options) => tryBoth((engine, how) => engine.session(input, work, how), options),
    writeRejects: (input, options) => tryBoth((engine, how) => engine.writeRejects(input, how), options),
  }

  async function tryBoth<T>(
    run: (engine: EngineTasks, options: RunOptions) => Promise<T>,
    options: RunOptions = {},
  ): Promise<T> {
    const forward = onlyForward(options)
    try {
      return await run(small, forward)
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== 'engine_out_of_memory') throw error
      return run(large, forward)
    }
  }
}

/** Returns the same options, with progress that does not go back if a task is repeated. */
function onlyForward({ onProgress, ...options }: RunOptions): RunOptions {
  if (!onProgress) return options
  let highest = 0
  return {
    ...options,
    onProgress: (progress) => {
      highest = Math.max(highest, progress.fraction)
      onProgress({ ...progress, fraction: highest })
    },
  }
}
