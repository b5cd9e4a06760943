import { type ProgressUpdate, TICKS_PER_VERSION } from '@aduana/contracts/progress'
import { expect, test } from 'vitest'
import { createProgressReporter } from './progress.ts'
import type { StageRun } from './stage-log.ts'

const JOB = '00000000-0000-4000-8000-000000000001'
const USER = '00000000-0000-4000-8000-000000000002'

/** A reporter of a run of `stage` that began `before` ms after the job, with a clock that the test moves. */
function follow(stage: StageRun['stage'] = 'parse', before = 0) {
  const updates: ProgressUpdate[] = []
  const clock = { at: 1_000_000 }
  const reporter = createProgressReporter({
    run: { jobId: JOB, type: 'import', stage, attempt: 1, try: 1, version: 7 },
    userId: USER,
    publisher: { publish: (update) => void updates.push(update), close: () => undefined },
    jobStartedAt: new Date(clock.at - before),
    title: 'Parse',
    now: () => clock.at,
  })
  const report = (milliseconds: number, fraction: number, rest: object = {}) => {
    clock.at += milliseconds
    reporter.report({ fraction, ...rest })
  }
  return { updates, reporter, report }
}

test('progress is that of the whole job and never goes backwards', () => {
  const { updates, report } = follow('validate')
  for (const fraction of [0.5, 0.25, 0.75, 0.1, 2]) report(300, fraction)
  expect(updates.map((update) => update.progress)).toEqual([40, 40, 46, 46, 52])
})

test('at most four updates a second are published, and always the last of a stage', () => {
  const { updates, report } = follow()
  for (let n = 1; n <= 1000; n += 1) report(2, n / 1000)
  expect(updates.length).toBeGreaterThanOrEqual(8)
  expect(updates.length).toBeLessThanOrEqual(9)
  expect(updates.at(-1)?.progress).toBe(28)
})

test('updates are numbered upwards from the version of the job', () => {
  const { updates, report } = follow()
  for (const fraction of [0.1, 0.2, 0.3]) report(250, fraction)
  expect(updates.map((update) => update.seq)).toEqual([1, 2, 3].map((tick) => 7 * TICKS_PER_VERSION + tick))
})

test('rows per second are those of the stage, the time that remains that of the job', () => {
  const { reporter, report } = follow('parse', 1000)
  report(50, 0.01, { processedItems: 10 })
  expect(reporter.figures()).toMatchObject({ rowsPerSecond: null, etaSeconds: null })
  report(950, 0.5, { processedItems: 4000, totalItems: 8000, message: 'Parsing' })
  // 14 % of the job after two seconds.
  expect(reporter.figures()).toEqual({
    progress: 14,
    message: 'Parsing',
    totalItems: 8000,
    processedItems: 4000,
    rowsPerSecond: 4000,
    etaSeconds: 12,
  })
})

test('what is not told again stays', () => {
  const { reporter, report } = follow()
  report(300, 0.1, { processedItems: 10, totalItems: 100, message: 'Parsing' })
  report(300, 0.2)
  expect(reporter.figures()).toMatchObject({ processedItems: 10, totalItems: 100, message: 'Parsing' })
})

test('an update carries nothing but what its schema names', () => {
  const { updates, report } = follow()
  report(300, 1)
  expect(updates).toEqual([
    {
      jobId: JOB,
      userId: USER,
      seq: 7 * TICKS_PER_VERSION + 1,
      stage: 'parse',
      progress: 28,
      message: 'Parse',
      totalItems: null,
      processedItems: null,
      rowsPerSecond: null,
      etaSeconds: null,
    },
  ])
})
