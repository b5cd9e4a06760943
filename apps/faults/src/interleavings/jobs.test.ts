import { LONG, sample, samplePairs } from '@aduana/testkit/long'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { brokenPromises } from '../testing/interleavings/jobs/promises.ts'
import {
  EXCLUSIVE,
  MEETINGS,
  TRANSACTIONS,
  TRIPLES,
  type TransactionName,
} from '../testing/interleavings/jobs/transactions.ts'
import { buildWorld, type WorldName } from '../testing/interleavings/jobs/worlds.ts'
import { meet, succeeded } from '../testing/interleavings/meeting.ts'
import { type MeetingPlace, openMeetingPlace } from '../testing/interleavings/meeting-place.ts'

let place: MeetingPlace

beforeAll(async () => {
  place = await openMeetingPlace()
})
afterAll(() => place.close())

async function meetAll(name: WorldName, names: readonly TransactionName[]): Promise<number> {
  const exclusive = EXCLUSIVE.some(([where, ...pair]) => where === name && String(pair) === String(names))
  return meet({
    sessions: place.sessions,
    monitor: place.database.pool,
    rebuilt: await buildWorld(place, name),
    transactions: names.map((one) => TRANSACTIONS[one]),
    broken: async ({ endings }) => {
      const broken = await brokenPromises(place.database)
      if (exclusive && endings.every(succeeded)) broken.push(`both of "${names.join('" and "')}" succeeded`)
      return broken
    },
  })
}

function exclusiveIn(world: string): (readonly [TransactionName, TransactionName])[] {
  return EXCLUSIVE.flatMap(([where, first, second]) => (where === world ? [[first, second] as const] : []))
}

const PAIRS = Object.entries(MEETINGS).map(([world, names]) => ({
  world: world as WorldName,
  pairs: [...samplePairs<TransactionName>(names), ...(LONG ? [] : exclusiveIn(world))],
}))

describe.each(PAIRS)('a job that $world', ({ world, pairs }) => {
  test.each(pairs)(
    'keeps every promise in every order of "%s" and "%s"',
    { timeout: 600_000 },
    async (...names) => {
      const schedules = await meetAll(world, names)
      expect(schedules).toBeGreaterThan(1)
    },
  )
})

test.each(sample(TRIPLES, 1))(
  'a job that %s keeps every promise in every order of "%s", "%s" and "%s"',
  { timeout: 600_000 },
  async (world, ...names) => {
    const schedules = await meetAll(world, names)
    expect(schedules).toBeGreaterThan(1)
  },
)
