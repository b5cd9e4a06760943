import { beforeEach, describe, expect, test } from 'vitest'
import { createJudge, type Judge, type StageSight } from './judge.ts'

const PACE = 3000

let clock: number
let judge: Judge
beforeEach(() => {
  clock = 0
  judge = createJudge(PACE, () => clock)
})

const sight = (change: Partial<StageSight> = {}): StageSight => ({
  stage: 'parse',
  looping: true,
  slots: 2,
  used: 0,
  living: 0,
  taken: 0,
  waiting: 3,
  held: null,
  ...change,
})
/** Observes repeatedly for some seconds and returns the last verdicts. */
function watch(seconds: number, look: (n: number) => Partial<StageSight>) {
  let verdicts = judge.see([sight(look(0))])
  for (let n = 1; n * PACE <= seconds * 1000; n += 1) {
    clock += PACE
    verdicts = judge.see([sight(look(n))])
  }
  return verdicts
}

describe('a worker is at fault', () => {
  test('when jobs wait, a slot is free, and nothing is taken', () => {
    expect(watch(30, () => ({}))).toEqual([{ stage: 'parse', fault: 'not_taking', waiting: 3, seconds: 27 }])
  })

  test('when jobs wait and all slots are used by stage attempts without heartbeats', () => {
    expect(watch(30, () => ({ used: 2, living: 0 }))).toMatchObject([{ fault: 'slots_stuck', seconds: 27 }])
  })

  test('when its loop has ended, whether jobs wait or not', () => {
    expect(judge.see([sight({ looping: false, waiting: 0 })])).toMatchObject([{ fault: 'loop_ended' }])
  })
})

describe('a worker is not at fault', () => {
  test.each<[string, (n: number) => Partial<StageSight>]>([
    ['when nothing waits', () => ({ waiting: 0 })],
    ['when the queue is paused', () => ({ held: 'paused' })],
    ['when a limit on the queue is reached', () => ({ held: 'limited' })],
    ['when all slots are used by stage attempts that live', () => ({ used: 2, living: 1 })],
    ['when it takes jobs, however many wait', (n) => ({ taken: n })],
  ])('%s', (_, look) => {
    expect(watch(300, look)).toEqual([])
  })

  test('for anything before it took a job again', () => {
    watch(27, () => ({}))
    clock += PACE
    expect(judge.see([sight({ taken: 1 })])).toEqual([])
    clock += PACE
    expect(judge.see([sight({ taken: 1 })])).toMatchObject([{ seconds: 0 }])
  })

  test('for the time in which the whole process was frozen', () => {
    judge.see([sight()])
    clock += PACE
    judge.see([sight()])
    clock += 600_000
    expect(judge.see([sight()])).toMatchObject([{ seconds: 6 }])
  })

  test('for observations before Redis became unavailable', () => {
    watch(27, () => ({}))
    judge.blind()
    clock += PACE
    expect(judge.see([sight()])).toMatchObject([{ seconds: 0 }])
  })
})
