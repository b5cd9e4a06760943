import { measureCoverage } from './measure.ts'

/* Loaded into a process before its program, by the option that `measuringOption` makes. */

const folder = new URL(import.meta.url).searchParams.get('folder')
if (folder !== null) {
  const write = measureCoverage(folder)
  process.once('exit', write)
  // The child of the engine ends itself with SIGKILL when its parent has gone.
  process.once('disconnect', write)
}
