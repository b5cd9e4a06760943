import { randomInt } from 'node:crypto'
import { LONG } from '@aduana/testkit/long'
import { describe, expect, test } from 'vitest'
import { makePlan } from './plan.ts'
import { runPlan } from './run.ts'

test('a seed always gives the same plan', () => {
  expect(makePlan(5, { imports: 20 })).toEqual(makePlan(5, { imports: 20 }))
  expect(makePlan(5, { imports: 20 })).not.toEqual(makePlan(6, { imports: 20 }))
})

describe('imports while workers, connections and Redis fail at random', { timeout: 400_000 }, () => {
  test.for(LONG ? [1, randomInt(2 ** 31), randomInt(2 ** 31)] : [randomInt(2 ** 31)])(
    'leave the same result as without faults (seed %i)',
    async (seed) => {
      const { broken } = await runPlan(makePlan(seed, { imports: LONG ? 20 : 12, workers: 2, pace: 150 }))
      expect(broken).toEqual([])
    },
  )
})
