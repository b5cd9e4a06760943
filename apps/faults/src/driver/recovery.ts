import { createTestSystem } from '@aduana/testkit/system'
import { sample } from '../production-file.ts'

/** Where the worker dies: in the work of each stage, and in the middle of the load's transaction. */
const PLACES = [
  'stage.before-work:parse/2',
  'stage.before-work:validate/2',
  'stage.before-work:quarantine/2',
  'stage.before-work:load/2',
  'load.before-commit:2',
  'stage.before-work:fan-out/2',
]

/**
 * Measure how long an import takes to end after the only worker that holds it is killed with SIGKILL, while another is
 * there: for each place the median and the longest of `runs`. The first worker is alone until it holds the import.
 */
export async function measureRecovery(runs: number, say: (line: string) => void): Promise<void> {
  say('killed at                        median    worst  (seconds from the kill to COMPLETED)')
  for (const place of PLACES) {
    const seconds: number[] = []
    for (let run = 0; run < runs; run += 1) seconds.push(await recoverOnce(place))
    seconds.sort((a, b) => a - b)
    const median = seconds[Math.floor(seconds.length / 2)] ?? Number.NaN
    const worst = seconds.at(-1) ?? Number.NaN
    say(`${place.padEnd(32)} ${median.toFixed(1).padStart(6)}   ${worst.toFixed(1).padStart(6)}`)
  }
}

async function recoverOnce(place: string): Promise<number> {
  const system = await createTestSystem()
  try {
    const [doomed, other] = await Promise.all([
      system.startWorker({ ADUANA_FAIL_POINTS: `${place}=kill` }),
      system.startWorker(),
    ])
    // The other one is ready, but leaves the import to the one that dies.
    other.signal('SIGSTOP')
    await system.import(sample('old'), { dataset: 'production' })
    const id = await system.accept(sample('new'), { dataset: 'production' })
    await doomed.exited
    other.signal('SIGCONT')
    const died = performance.now()
    const job = await system.finished(id, 120_000)
    if (job.status !== 'COMPLETED') throw new Error(`${place}: the import ended as ${job.status}`)
    return (performance.now() - died) / 1000
  } finally {
    await system.close()
  }
}
