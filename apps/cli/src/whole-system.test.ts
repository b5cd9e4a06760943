import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startProduct } from '@aduana/testkit/processes'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url))

let system: TestSystem
let folder: string
let stopApi: () => Promise<void>
let environment: Record<string, string>

beforeAll(async () => {
  system = await createTestSystem({ workers: 1 })
  folder = await mkdtemp(join(tmpdir(), 'aduana-cli-'))
  const password = 'correct horse battery'
  // The system has an admin without a password; the one of the settings is made when there are no users.
  await system.database.pool.query('delete from users')
  const api = startProduct('api', {
    ...system.environment,
    PORT: '0',
    ADUANA_JWT_SECRET: 'x'.repeat(40),
    ADUANA_ADMIN_EMAIL: 'admin@aduana.local',
    ADUANA_ADMIN_PASSWORD: password,
  })
  stopApi = api.stop
  await api.untilLogged('api.ready')
  const address = await until(
    () => api.lines.flatMap((line) => /"address":"([^"]+)"/.exec(line)?.[1] ?? [])[0],
    { what: 'the API says where it listens' },
  )
  environment = { ADUANA_URL: address, ADUANA_EMAIL: 'admin@aduana.local', ADUANA_PASSWORD: password }
})
afterAll(async () => {
  await stopApi()
  await system.close()
  await rm(folder, { recursive: true, force: true })
})

/** Run the program as a user would; answers its exit code and what it wrote. */
function aduana(...args: string[]): Promise<{ code: number; output: string }> {
  const { PATH, NODE_OPTIONS } = process.env
  const env = { PATH, NODE_OPTIONS, HOME: folder, ...environment }
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { env, maxBuffer: 50_000_000 }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, output: stdout + stderr })
    })
  })
}

describe('the whole system, from the command line', () => {
  test.each(['production', 'orders', 'dkt'])(
    'accounts for every record of a dirty file of %s',
    async (dataset) => {
      const [file, report] = [join(folder, `${dataset}.csv`), join(folder, `${dataset}.json`)]
      const made = await aduana(
        'sample',
        '--dataset',
        dataset,
        '--rows',
        '20000',
        '--seed',
        '11',
        '--out',
        file,
        '--report',
        report,
      )
      expect(made.code).toBe(0)
      const expected = JSON.parse(await readFile(report, 'utf8'))

      const { code, output } = await aduana('import', file, '-d', dataset, '--json')
      expect(code).toBe(2)
      const { job } = JSON.parse(output)
      expect(job).toMatchObject({
        status: 'COMPLETED',
        progress: 100,
        counts: {
          records: expected.records,
          loaded: expected.good,
          quarantined: expected.rejected,
          duplicates: expected.duplicates,
        },
      })
      const rejects = (await system.artifact(job.id, 'rejects.ndjson')).trimEnd().split('\n')
      expect(rejects).toHaveLength(expected.rejected)
      const duplicates = (await system.artifact(job.id, 'duplicates.ndjson')).split('\n').filter(Boolean)
      expect(duplicates).toHaveLength(expected.duplicates)
    },
  )

  test('tells by its exit code that the same bytes are there already', async () => {
    const { code, output } = await aduana('import', join(folder, 'production.csv'), '-d', 'production')
    expect(code).toBe(5)
    expect(output).toContain('already_imported')
  })

  test('runs the demo to an end at which every figure agrees', async () => {
    const { code, output } = await aduana('demo')
    expect(output).toContain('nothing lost, nothing twice')
    expect(code).toBe(0)
  })
})
