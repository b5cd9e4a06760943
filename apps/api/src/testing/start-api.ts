import { randomUUID } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Role } from '@aduana/contracts/identity'
import type { ProgressUpdate } from '@aduana/contracts/progress'
import type { Database } from '@aduana/db/database'
import { createProgressPublisher } from '@aduana/queue/progress-channel'
import { ApiSettings, readSettings } from '@aduana/runtime/config'
import { createResources } from '@aduana/runtime/lifecycle'
import { createLogger } from '@aduana/runtime/logger'
import { createTestDatabase } from '@aduana/testkit/database'
import { createTestRedis } from '@aduana/testkit/redis'
import type {} from '@fastify/jwt'
import type { FastifyInstance } from 'fastify'
import { buildApp } from '../app.ts'
import type { ApiContext } from '../context.ts'
import type {} from '../plugins/access.ts'
import { acquireContext } from '../resources.ts'
import { hashPassword } from '../users/passwords.ts'
import { issueToken } from '../users/tokens.ts'
import type { Hub } from '../ws/hub.ts'

/** A user of the API in a test. */
export interface TestUser {
  userId: string
  email: string
  token: string
  /** Sends a request as this user. */
  ask(path: string, init?: RequestInit): Promise<Response>
}

/** The API on a port of its own, over a database and a Redis prefix of its own. */
export interface TestApi {
  url: string
  app: FastifyInstance
  db: Database
  context: ApiContext
  hub: Hub
  /** All files of the artifact store but its marker. */
  storedFiles(): Promise<string[]>
  addUser(role: Role): Promise<TestUser>
  /** Publishes progress as a worker does, once Redis is connected. */
  publish(update: ProgressUpdate): void
  close(): Promise<void>
}

/** The password of every test user. */
export const PASSWORD = 'correct horse battery'

/** Starts the API as `main.ts` does. `environment` adds to its settings. */
export async function startApi(environment: Record<string, string> = {}): Promise<TestApi> {
  const logger = createLogger({ name: 'api-test', level: process.env.LOG_LEVEL ?? 'silent', pretty: false })
  const resources = createResources(logger)
  const database = await createTestDatabase()
  resources.add('test database', () => database.drop())
  const redis = createTestRedis()
  resources.add('test redis', () => redis.close())
  const folder = await mkdtemp(join(tmpdir(), 'aduana-api-'))
  resources.add('folder', () => rm(folder, { recursive: true, force: true }))
  const settings = readSettings(ApiSettings, {
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    QUEUE_PREFIX: redis.prefix,
    ADUANA_DATA_DIR: folder,
    ADUANA_JWT_SECRET: 'a secret that is only good for tests',
    PORT: '0',
    ...environment,
  })
  const context = await acquireContext(settings, logger, resources)
  const app = await buildApp(context)
  resources.add('http', () => app.close())
  await app.listen({ host: settings.HOST, port: 0 })
  const { port } = app.server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  const publisher = createProgressPublisher({ redisUrl: redis.url, prefix: redis.prefix, logger })
  resources.add('publisher', () => publisher.close())
  return {
    url,
    app,
    db: context.db,
    context,
    hub: app.hub,
    storedFiles: () => filesOf(join(folder, 'artifacts')),
    addUser: (role) => addUser(app, context.db, url, role),
    publish: (update) => publisher.publish(update),
    close: () => resources.release(),
  }
}

let passwordHash: Promise<string> | undefined

async function addUser(app: FastifyInstance, db: Database, url: string, role: Role): Promise<TestUser> {
  passwordHash ??= hashPassword(PASSWORD)
  const email = `${role}-${randomUUID().slice(0, 8)}@example.com`
  const { id } = await db
    .insertInto('users')
    .values({ email, role, password_hash: await passwordHash })
    .returning('id')
    .executeTakeFirstOrThrow()
  const { token } = issueToken(app, { userId: id, sessionVersion: 1 })
  return {
    userId: id,
    email,
    token,
    ask: (path, init = {}) =>
      fetch(`${url}${path}`, { ...init, headers: { authorization: `Bearer ${token}`, ...init.headers } }),
  }
}

async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && entry.name !== 'store-id')
    .map((entry) => join(entry.parentPath, entry.name))
}
