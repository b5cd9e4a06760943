import { beforeEach, describe, expect, test } from 'vitest'
import { createStuckDetector, type StageObservation, type StuckDetector } from './stuck-detector.ts'

const INTERVAL = 3000

let clock: number
let detector: StuckDetector
beforeEach(() => {
  clock = 0
  detector = createStuckDetector(INTERVAL, () => clock)
})

const observation = (change: Partial<StageObservation> = {}): StageObservation => ({
  stage: 'parse',
  looping: true,
  slots: 2,
  used: 0,
  alive: 0,
  taken: 0,
  waiting: 3,
  held: null,
  ...change,
})
/** Observes repeatedly for some seconds and returns the last verdicts. */
function watch(seconds: number, look: (n: number) => Partial<StageObservation>) {
  let verdicts = detector.observe([observation(look(0))])
  for (let n = 1; n * INTERVAL <= seconds * 1000; n += 1) {
    clock += INTERVAL
    verdicts = detector.observe([observation(look(n))])
  }
  return verdicts
}

describe('a worker is at fault', () => {
  test('when jobs wait, a slot is free, and nothing is taken', () => {
    expect(watch(30, () => ({}))).toEqual([{ stage: 'parse', fault: 'not_taking', waiting: 3, seconds: 27 }])
  })

  test('when jobs wait and all slots are used by stage attempts without heartbeats', () => {
    expect(watch(30, () => ({ used: 2, alive: 0 }))).toMatchObject([{ fault: 'slots_stuck', seconds: 27 }])
  })

  test('when its loop has ended, whether jobs wait or not', () => {
    expect(detector.observe([observation({ looping: false, waiting: 0 })])).toMatchObject([
      { fault: 'loop_ended' },
    ])
  })
})

describe('a worker is not at fault', () => {
  test.each<[string, (n: number) => Partial<StageObservation>]>([
    ['when nothing waits', () => ({ waiting: 0 })],
    ['when the queue is paused', () => ({ held: 'paused' })],
    ['when a limit on the queue is reached', () => ({ held: 'limited' })],
    ['when all slots are used by stage attempts that live', () => ({ used: 2, alive: 1 })],
    ['when it takes jobs, however many wait', (n) => ({ taken: n })],
  ])('%s', (_, look) => {
    expect(watch(300, look)).toEqual([])
  })

  test('for anything before it took a job again', () => {
    watch(27, () => ({}))
    clock += INTERVAL
    expect(detector.observe([observation({ taken: 1 })])).toEqual([])
    clock += INTERVAL
    expect(detector.observe([observation({ taken: 1 })])).toMatchObject([{ seconds: 0 }])
  })

  test('for the time in which the whole process was frozen', () => {
    detector.observe([observation()])
    clock += INTERVAL
    detector.observe([observation()])
    clock += 600_000
    expect(detector.observe([observation()])).toMatchObject([{ seconds: 6 }])
  })

  test('for observations before Redis became unavailable', () => {
    watch(27, () => ({}))
    detector.reset()
    clock += INTERVAL
    expect(detector.observe([observation()])).toMatchObject([{ seconds: 0 }])
  })
})
