import { figure } from '@aduana/contracts/figures'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { openApi } from '../session.ts'
import { busyPeriod, sendEvents } from '../testdata/events.ts'
import { importTestData } from '../testdata/files.ts'
import { knownRuns, newRuns, untilSettled } from '../testdata/settled.ts'

export interface TestdataOptions {
  files: number
  rows: number
  events: number
}

/** `aduana testdata`: files with known faults of production and orders, updates of datasets, and the metrics of both. */
export async function testdataCommand(io: Io, options: TestdataOptions): Promise<ExitCode> {
  const api = await openApi(io)
  const before = await knownRuns(api)
  const right = await importTestData(io, api, options)
  if (options.events > 0) {
    const seconds = await sendEvents(api, options.events, await busyPeriod(api))
    const rate = options.events / seconds
    io.out(
      `${figure(options.events)} events in ${seconds.toFixed(1)} s: ${figure(Math.round(rate))} events/s`,
    )
  }
  const startedAt = performance.now()
  await untilSettled(api)
  const runs = await newRuns(api, before)
  const states = [...runs].map(([status, count]) => `${figure(count)} ${status}`).join(', ')
  io.out(
    `runs of metrics: ${states || 'none'}; settled ${((performance.now() - startedAt) / 1000).toFixed(1)} s later`,
  )
  return right && !runs.has('FAILED') ? EXIT.loaded : EXIT.error
}
