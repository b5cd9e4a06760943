import type { Principal } from '@aduana/contracts/identity'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { openSession, type Session } from './session.ts'

/** A database with concurrent sessions, and the admin on whose behalf they act. */
export interface Environment {
  database: TestDatabase
  admin: Principal
  sessions: readonly Session[]
  close(): Promise<void>
}

/** Opens three sessions on a new database. */
export async function openEnvironment(): Promise<Environment> {
  const database = await createTestDatabase()
  const user = await database.db
    .insertInto('users')
    .values({ email: 'admin@test.local', password_hash: 'none', role: 'admin' })
    .returning('id')
    .executeTakeFirstOrThrow()
  const sessions = ['A', 'B', 'C'].map((name) => openSession(name, database.url))
  return {
    database,
    sessions,
    admin: {
      userId: user.id,
      email: 'admin@test.local',
      role: 'admin',
      tenant: 'default',
      companies: null,
      warehouses: null,
    },
    close: async () => {
      await Promise.all(sessions.map((session) => session.close()))
      await database.drop()
    },
  }
}
