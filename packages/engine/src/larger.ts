import type { Engine, RunOptions } from './engine.ts'
import { EngineError } from './errors.ts'

/** The tasks of an engine, without the care for its process. */
export type EngineTasks = Pick<Engine, 'parse' | 'query' | 'writeRejects'>

/** The tasks of `small`; one that runs out of memory there is done again by `large`, which may use more. */
export function orLarger(small: EngineTasks, large: EngineTasks): EngineTasks {
  return {
    parse: (input, options) => tryBoth((engine, how) => engine.parse(input, how), options),
    query: (input, options) => tryBoth((engine, how) => engine.query(input, how), options),
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

/** The same options; a task that begins again is not seen to go back. */
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
