import { expect, test } from 'vitest'
import { createProgressReporter } from './progress.ts'
import type { StageAttempt } from './stage-attempts.ts'

/** A reporter of an attempt at `stage` that began `before` ms after the job, with a clock that the test moves. */
function follow(stage: StageAttempt['stage'] = 'parse', { before = 0, reached = 0 } = {}) {
  const clock = { at: 1_000_000 }
  const reporter = createProgressReporter({
    stageAttempt: { type: 'import', stage },
    reached,
    jobStartedAt: new Date(clock.at - before),
    title: 'Parse',
    now: () => clock.at,
  })
  const report = (milliseconds: number, fraction: number, rest: object = {}) => {
    clock.at += milliseconds
    reporter.report({ fraction, ...rest })
    return reporter.figures().progress
  }
  return { reporter, report }
}

test('progress is that of the whole job and never decreases', () => {
  const { report } = follow('validate')
  expect([0.5, 0.25, 0.75, 0.1, 2].map((fraction) => report(300, fraction))).toEqual([40, 40, 46, 46, 52])
})

test('an attempt continues from the progress of an earlier one, not from the start of its stage', () => {
  const { reporter, report } = follow('load', { reached: 94 })
  expect(reporter.figures().progress).toBe(94)
  expect([0, 0.5, 0.9, 1].map((fraction) => report(300, fraction))).toEqual([94, 94, 94, 98])
})

test('the figures are the same object until something is reported', () => {
  const { reporter, report } = follow()
  const before = reporter.figures()
  expect(reporter.figures()).toBe(before)
  report(10, 0.1)
  expect(reporter.figures()).not.toBe(before)
})

test('rows per second are those of the stage, the remaining time is that of the job', () => {
  const { reporter, report } = follow('parse', { before: 1000 })
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

test('figures that are not reported again stay', () => {
  const { reporter, report } = follow()
  report(300, 0.1, { processedItems: 10, totalItems: 100, message: 'Parsing' })
  report(300, 0.2)
  expect(reporter.figures()).toMatchObject({ processedItems: 10, totalItems: 100, message: 'Parsing' })
})
