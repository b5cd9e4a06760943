import { type Duplex, pipeline, type Readable } from 'node:stream'

/**
 * Pipes a stream into a step and returns the step. Both are closed when either ends, fails or is destroyed, and when a loop
 * over the step is left early. `source.pipe(step)` leaves the source open in all these cases.
 */
export function piped<Step extends Duplex>(source: Readable, step: Step): Step {
  // The reader of the step gets its error.
  pipeline(source, step, () => undefined)
  return step
}
