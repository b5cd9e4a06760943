import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { whyKept } from '@aduana/db/test-database'
import { createTestDatabase } from '@aduana/testkit/database'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const MAIN = fileURLToPath(new URL('../dist/test-database.js', import.meta.url))
const FILE = 'fecha;trabajador_codigo;centro_costo;horas_ordinarias\n2024-01-10;T1;CC1;8\n'

let system: TestSystem
beforeAll(async () => {
  system = await createTestSystem()
})
afterAll(() => system.close())

function run(
  environment: Record<string, string>,
  ...args: string[]
): Promise<{ code: number; said: string }> {
  const { PATH, NODE_OPTIONS } = process.env
  const env = { PATH, NODE_OPTIONS, ...environment }
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, said: stdout + stderr })
    })
  })
}

const tables = async () =>
  (await system.database.pool.query(`select from pg_tables where schemaname = 'public'`)).rowCount

describe('cleaning a database', () => {
  test('is refused while programs are connected, and while it contains imports that are not test data', async () => {
    const worker = await system.startWorker()
    const { status } = await system.import(FILE, { dataset: 'dkt' })
    expect(status).toBe('COMPLETED')
    expect(await run(system.environment, 'clean', '--yes')).toMatchObject({
      code: 1,
      said: expect.stringContaining('Programs are connected'),
    })
    await worker.stop()
    expect(await run(system.environment, 'clean')).toMatchObject({
      code: 1,
      said: expect.stringContaining('1 imports that are not test data'),
    })
    expect(await tables()).toBeGreaterThan(20)
  })

  test('is refused, even when confirmed, while it contains foreign tables', async () => {
    await system.database.pool.query('create table salaries (amount numeric)')
    expect(await run(system.environment, 'clean', '--yes')).toMatchObject({
      code: 1,
      said: expect.stringContaining('public.salaries'),
    })
    await system.database.pool.query('drop table salaries')
  })

  test('leaves no table, file or key, and can be repeated', async () => {
    await system.database.pool.query(`update imports set file_name = 'testdata-' || file_name`)
    expect(await system.redis.redis.keys(`${system.redis.prefix}*`)).not.toEqual([])
    expect(await run(system.environment, 'clean')).toMatchObject({ code: 0 })
    expect(await tables()).toBe(0)
    const left = await readdir(join(system.dataDir, 'artifacts'), { recursive: true, withFileTypes: true })
    expect(left.filter((entry) => entry.isFile())).toEqual([])
    expect(await system.redis.redis.keys(`${system.redis.prefix}*`)).toEqual([])
    expect(await run(system.environment, 'clean')).toMatchObject({ code: 0 })
  })
})

test('a database that is not marked for tests is kept unless confirmed', () => {
  const contents = { realImports: 0, strangers: [], connected: [] }
  for (const name of ['aduana', 'contest', 'latest', 'attestation'])
    expect(whyKept({ ...contents, name }, false)).toContain('--yes')
  for (const name of ['test', 'aduana_test', 'test-7', 'testdata', 'aduana_tests'])
    expect(whyKept({ ...contents, name }, false)).toBe(undefined)
  expect(whyKept({ ...contents, name: 'aduana' }, true)).toBe(undefined)
})

test('a missing test database is created once', async () => {
  const database = await createTestDatabase()
  const { url } = database
  await database.drop()
  const environment = { ...system.environment, DATABASE_URL: url }
  try {
    expect(await run(environment, 'make')).toMatchObject({ code: 0, said: 'created the database\n' })
    expect(await run(environment, 'make')).toMatchObject({ code: 0, said: '' })
  } finally {
    const name = new URL(url).pathname.slice(1)
    await system.database.pool.query(`drop database if exists ${name} with (force)`)
  }
})
