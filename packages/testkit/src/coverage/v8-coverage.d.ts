// The package has no types of its own; these are of the part that is used.
declare module '@bcoe/v8-coverage' {
  import type { Profiler } from 'node:inspector'

  export interface ProcessCov {
    result: Profiler.ScriptCoverage[]
  }
  export function mergeProcessCovs(processCovs: readonly ProcessCov[]): ProcessCov
}
