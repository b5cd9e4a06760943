import type { Principal } from '@aduana/contracts/identity'
import { ProblemError } from '@aduana/contracts/problems'
import { isTransient } from '@aduana/db/sql-errors'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { functionsThatOpenTransactions, OPENS_TRANSACTION } from '../testing/interleavings/product.ts'
import { brokenPromises } from '../testing/interleavings/promises.ts'
import { everySchedule, type Schedule } from '../testing/interleavings/scheduler.ts'
import { type Ending, openSession, type Session } from '../testing/interleavings/session.ts'
import {
  EXCLUSIVE,
  MEETINGS,
  TRANSACTIONS,
  TRIPLES,
  type TransactionName,
} from '../testing/interleavings/transactions.ts'
import { buildWorld, type WorldName } from '../testing/interleavings/worlds.ts'

let database: TestDatabase
let admin: Principal
let sessions: Session[]

beforeAll(async () => {
  database = await createTestDatabase()
  const user = await database.db
    .insertInto('users')
    .values({ email: 'admin@test.local', password_hash: 'none', role: 'admin' })
    .returning('id')
    .executeTakeFirstOrThrow()
  admin = {
    userId: user.id,
    email: 'admin@test.local',
    role: 'admin',
    tenant: 'default',
    companies: null,
    warehouses: null,
  }
  sessions = ['A', 'B', 'C'].map((name) => openSession(name, database.url))
})
afterAll(async () => {
  await Promise.all(sessions.map((session) => session.close()))
  await database.drop()
})

/** A process that takes work over terminates the connection that a silent one works on. */
const wasTerminated = (error: unknown) =>
  isTransient(error) && /terminat|not queryable/.test(error instanceof Error ? error.message : '')

const REFUSALS = ['OvertakenError', 'CancelledError', 'TryAgainError']

/** What went wrong in a session, unless it is one of the ways in which a transaction may refuse. */
function fault(ending: Ending): string[] {
  if (ending.kind === 'returned' || ending.error instanceof ProblemError) return []
  if (ending.error instanceof Error && REFUSALS.includes(ending.error.name)) return []
  return wasTerminated(ending.error) ? [] : [`threw ${String(ending.error)}`]
}

async function meet(world: WorldName, names: readonly TransactionName[]): Promise<number> {
  const exclusive = EXCLUSIVE.some(([where, ...pair]) => where === world && String(pair) === String(names))
  const { world: state, restore } = await buildWorld({ database, admin }, world)
  const actors = names.flatMap((name, index) => {
    const session = sessions[index]
    return session ? [{ session, work: () => TRANSACTIONS[name](session, state) }] : []
  })
  const open = async () => {
    await restore()
    return actors
  }
  const check = async ({ steps, endings }: Schedule) => {
    const broken = [...endings.flatMap(fault), ...(await brokenPromises(database))]
    if (exclusive && endings.every(succeeded)) broken.push(`both of "${names.join('" and "')}" succeeded`)
    expect({ broken, steps: broken.length > 0 ? steps : [] }).toEqual({ broken: [], steps: [] })
  }
  return everySchedule(database.pool, open, check)
}

function succeeded(ending: Ending): boolean {
  if (ending.kind === 'threw') return false
  const kind: unknown =
    typeof ending.value === 'object' && ending.value !== null && Reflect.get(ending.value, 'kind')
  return kind !== 'stop'
}

test('every function of the product that opens a transaction is in the table', () => {
  expect(functionsThatOpenTransactions(['jobs', 'pipeline'])).toEqual(Object.keys(OPENS_TRANSACTION).sort())
})

test('every transaction of the table meets others in some world', () => {
  const met = new Set(Object.values(MEETINGS).flat())
  expect([...met].sort()).toEqual(Object.keys(TRANSACTIONS).sort())
})

const PAIRS = Object.entries(MEETINGS).map(([world, names]) => ({
  world: world as WorldName,
  pairs: names.flatMap((first, index) => names.slice(index).map((second) => [first, second] as const)),
}))

describe.each(PAIRS)('a job that $world', ({ world, pairs }) => {
  test.each(pairs)(
    'keeps every promise in every order of "%s" and "%s"',
    { timeout: 600_000 },
    async (...names) => {
      const schedules = await meet(world, names)
      expect(schedules).toBeGreaterThan(1)
    },
  )
})

test.each(TRIPLES)(
  'a job that %s keeps every promise in every order of "%s", "%s" and "%s"',
  { timeout: 600_000 },
  async (world, ...names) => {
    const schedules = await meet(world, names)
    expect(schedules).toBeGreaterThan(1)
  },
)
