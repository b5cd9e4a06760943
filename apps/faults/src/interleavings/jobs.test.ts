import { LONG, sample, samplePairs } from '@aduana/testkit/long'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Environment, openEnvironment } from '../testing/interleavings/environment.ts'
import { interleave, succeeded } from '../testing/interleavings/interleave.ts'
import { brokenPromises } from '../testing/interleavings/jobs/promises.ts'
import {
  COMBINATIONS,
  EXCLUSIVE,
  TRANSACTIONS,
  TRIPLES,
  type TransactionName,
} from '../testing/interleavings/jobs/transactions.ts'
import { buildWorld, type WorldName } from '../testing/interleavings/jobs/worlds.ts'

let environment: Environment

beforeAll(async () => {
  environment = await openEnvironment()
})
afterAll(() => environment.close())

async function interleaveAll(name: WorldName, names: readonly TransactionName[]): Promise<number> {
  const exclusive = EXCLUSIVE.some(([where, ...pair]) => where === name && String(pair) === String(names))
  return interleave({
    sessions: environment.sessions,
    monitor: environment.database.pool,
    snapshot: await buildWorld(environment, name),
    transactions: names.map((one) => TRANSACTIONS[one]),
    broken: async ({ endings }) => {
      const broken = await brokenPromises(environment.database)
      if (exclusive && endings.every(succeeded)) broken.push(`both of "${names.join('" and "')}" succeeded`)
      return broken
    },
  })
}

function exclusiveIn(world: string): (readonly [TransactionName, TransactionName])[] {
  return EXCLUSIVE.flatMap(([where, first, second]) => (where === world ? [[first, second] as const] : []))
}

const PAIRS = Object.entries(COMBINATIONS).map(([world, names]) => ({
  world: world as WorldName,
  pairs: [...samplePairs<TransactionName>(names), ...(LONG ? [] : exclusiveIn(world))],
}))

describe.each(PAIRS)('a job that $world', ({ world, pairs }) => {
  test.each(pairs)(
    'keeps every promise in every interleaving of "%s" and "%s"',
    { timeout: 600_000 },
    async (...names) => {
      const schedules = await interleaveAll(world, names)
      expect(schedules).toBeGreaterThan(1)
    },
  )
})

test.each(sample(TRIPLES, 1))(
  'a job that %s keeps every promise in every interleaving of "%s", "%s" and "%s"',
  { timeout: 600_000 },
  async (world, ...names) => {
    const schedules = await interleaveAll(world, names)
    expect(schedules).toBeGreaterThan(1)
  },
)
