import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ApiSettings, readSettings } from '@aduana/runtime/config'
import { createResources } from '@aduana/runtime/lifecycle'
import { createLogger } from '@aduana/runtime/logger'
import { createTestDatabase } from '@aduana/testkit/database'
import { createTestRedis } from '@aduana/testkit/redis'
import { afterEach, expect, test } from 'vitest'
import { acquireContext } from './resources.ts'

const logger = createLogger({ name: 'api-test', level: 'silent', pretty: false })
const resources = createResources(logger)
afterEach(() => resources.release())

test('the API starts even if shipped metrics do not fit a dataset that a user has changed', async () => {
  const database = await createTestDatabase()
  resources.add('test database', () => database.drop())
  const redis = createTestRedis()
  resources.add('test redis', () => redis.close())
  const folder = await mkdtemp(join(tmpdir(), 'aduana-api-'))
  resources.add('folder', () => rm(folder, { recursive: true, force: true }))
  await database.pool.query(`
    with changer as (insert into users (email, password_hash, role) values ('a@b.c', 'x', 'admin') returning id)
    insert into dataset_versions (dataset_id, version, definition, definition_sha256, created_by)
    select dataset_id, 2, definition #- '{columns,3}', repeat('0', 64), changer.id
    from dataset_versions, changer where definition ->> 'code' = 'orders';
    update datasets set current_version = 2 where code = 'orders'`)
  const settings = readSettings(ApiSettings, {
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    QUEUE_PREFIX: redis.prefix,
    ADUANA_DATA_DIR: folder,
    ADUANA_JWT_SECRET: 'a secret that is only good for tests',
  })
  await acquireContext(settings, logger, resources)
  const { rows } = await database.pool.query(
    `select current_version as version, (select count(*)::int from series) as series from datasets where code = 'orders'`,
  )
  expect(rows).toEqual([{ version: 2, series: 0 }])
})
