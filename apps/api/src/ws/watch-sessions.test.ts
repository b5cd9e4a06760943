import { randomUUID } from 'node:crypto'
import type { Principal } from '@aduana/contracts/identity'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'
import type { Session } from '../users/sessions.ts'
import { watchSessions } from './watch-sessions.ts'

let api: TestApi

beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

const sessionOf = (user: TestUser): Session => ({
  sessionId: randomUUID(),
  userId: user.userId,
  version: 1,
  expiresAt: new Date(Date.now() + 60_000),
  principal: {
    userId: user.userId,
    email: user.email,
    role: 'viewer',
    tenant: 'default',
    companies: null,
    warehouses: null,
  },
})

const disable = (user: TestUser) =>
  api.db.updateTable('users').set({ disabled_at: new Date() }).where('id', '=', user.userId).execute()

test('a session that ends is noticed although PostgreSQL’s message about it is missed', async () => {
  const deaf = { ...api.context, followSessions: () => ({ close: async () => undefined }) }
  const watch = watchSessions(deaf)
  const [leaving, staying] = [await api.addUser('viewer'), await api.addUser('viewer')]
  const ended: string[] = []
  for (const user of [leaving, staying])
    watch.watch(sessionOf(user), { refreshed: () => undefined, ended: () => void ended.push(user.userId) })
  await disable(leaving)
  await until(() => ended.length > 0, { what: 'the session has ended' })
  expect(new Set(ended)).toEqual(new Set([leaving.userId]))
  await watch.close()
})

test('a change is noticed when PostgreSQL notifies of it, without waiting for the next poll', async () => {
  const hour = 3_600_000
  const watch = watchSessions(api.context, hour)
  const user = await api.addUser('viewer')
  const roles: string[] = []
  const refreshed = ({ role }: Principal) => void roles.push(role)
  watch.watch(sessionOf(user), { refreshed, ended: () => undefined })
  // Again until the channel is listened to.
  await until(
    async () => {
      await api.db.updateTable('users').set({ role: 'steward' }).where('id', '=', user.userId).execute()
      return roles.includes('steward')
    },
    { what: 'the new role is known' },
  )
  await watch.close()
})
