import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UndoRequest } from '@aduana/contracts/undo'
import { migrate, readMigrations } from '@aduana/db/migrations'
import { dumpSchema } from '@aduana/db/schema-dump'
import { SCHEMA_DUMP } from '@aduana/db/schema-files'
import { undoImport } from '@aduana/jobs/undo/undo-import'
import { createLogger } from '@aduana/runtime/logger'
import { createEmptyDatabase, openTestDatabase } from '@aduana/testkit/database'
import { createRandom } from '@aduana/testkit/random'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import pg from 'pg'
import { expect, test } from 'vitest'
import { readContents } from '../driver/compare.ts'
import { brokenGuarantees } from '../guarantees.ts'
import { type Expectation, openMetricOracle } from '../metrics/oracle.ts'
import { isSettled } from '../metrics/settled.ts'
import { archivingPostgres, backUp, restoreArtifacts, restoredPostgres } from '../testing/base-backup.ts'
import { everyRow, fillOlder } from '../testing/every-row.ts'
import { blocksOf, runShell } from '../testing/guide-commands.ts'
import { type Dataset, scenarioFiles } from '../testing/metrics/changes.ts'
import { declareMetrics } from '../testing/metrics/kill-scenarios.ts'

const WITHIN = 120_000
const FILES = scenarioFiles(createRandom(7))

/** Returns the `index`-th file of a dataset. */
function file(dataset: Dataset, index: number): readonly [string, { dataset: string }] {
  const found = FILES.filter((each) => each.dataset === dataset)[index]
  return [found?.content ?? '', { dataset }]
}

/** Leaves completed imports, one that hangs in its second stage, and a queued one. Returns the second completed import. */
async function busySystem(system: TestSystem, metrics: boolean): Promise<string> {
  const worker = await system.startWorker()
  await system.import(...file('production', 0))
  const { id, status } = await system.import(...file('production', 1))
  expect(status).toBe('COMPLETED')
  await system.import(...file('orders', 0))
  if (metrics)
    await until(() => isSettled(system.database.pool), { what: 'the metrics have settled', within: WITHIN })
  await worker.stop()
  await system.startWorker({ ADUANA_FAIL_POINTS: 'stage.before-commit:validate/4=hang' })
  await system.accept(...file('orders', 1))
  await until(
    async () =>
      (
        await system.database.pool.query(
          `select from stage_results where stage = 'validate' and state = 'running'`,
        )
      ).rowCount === 1,
    { what: 'an import is being validated', within: WITHIN },
  )
  await system.accept(...file('dkt', 0))
  return id
}

async function killAll(system: TestSystem): Promise<void> {
  for (const process of system.processes().filter((each) => each.alive())) {
    process.signal('SIGKILL')
    await process.exited
  }
}

async function schemaOf(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await dumpSchema(client)
  } finally {
    await client.end()
  }
}

const statesOf = async (system: TestSystem) =>
  (await system.database.pool.query('select status, stage from jobs order by created_at')).rows.map(
    ({ status, stage }) => `${status} ${stage}`,
  )

/** Checks that a restored installation completes all accepted imports and works normally. */
async function expectNormalOperation(
  system: TestSystem,
  toUndo: string,
  expected: readonly Expectation[],
): Promise<void> {
  const oracle = await openMetricOracle(system, expected)
  try {
    await system.startWorker()
    const allCompleted = async () =>
      (await system.database.pool.query(`select from jobs where status <> 'COMPLETED'`)).rowCount === 0
    await until(allCompleted, { what: 'all accepted imports are completed', within: WITHIN })
    expect((await system.import(...file('production', 2))).status).toBe('COMPLETED')
    const context = { db: system.database.db, maxQueued: 1000 }
    const undo = await undoImport(context, system.admin, toUndo, UndoRequest.parse({ unwind: true }))
    expect((await system.finished(undo.body.id, WITHIN)).status).toBe('COMPLETED')
    await until(() => isSettled(system.database.pool), { what: 'the metrics have settled', within: WITHIN })
    expect(await oracle.differences()).toEqual([])
    const { rows } = await system.database.pool.query(`select distinct status from metric_runs`)
    expect(rows).toEqual([{ status: 'SUCCEEDED' }])
    expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
  } finally {
    await oracle.close()
  }
}

test('a backup that was taken during imports is restored with every row and file, and the imports complete', async () => {
  const server = await archivingPostgres()
  const system = await createTestSystem({
    databaseServer: server.url,
    metrics: true,
    settings: { ADUANA_MAX_ACTIVE: '1' },
  })
  try {
    await declareMetrics(system)
    const second = await busySystem(system, true)
    await backUp(server, system.dataDir, async () => {
      await system.accept(...file('dkt', 1))
      await killAll(system)
    })
    const before = await everyRow(system.database.pool)
    const pendingRun = /"status": "PENDING"/
    expect(before.metric_runs?.join('\n')).toMatch(pendingRun)

    const other = await restoredPostgres(server)
    const url = new URL(other.url)
    url.pathname = new URL(system.database.url).pathname
    const dataDir = await mkdtemp(join(tmpdir(), 'aduana-test-'))
    await restoreArtifacts(other, dataDir, url.href)
    const database = openTestDatabase(url.href, other.url)
    const restored = await createTestSystem({ restored: { database, dataDir }, metrics: true })
    try {
      expect(await everyRow(database.pool)).toEqual(before)
      expect(await schemaOf(url.href)).toBe(await readFile(SCHEMA_DUMP, 'utf8'))
      expect(await statesOf(restored)).toEqual([
        ...Array.from({ length: 3 }, () => 'COMPLETED fan-out'),
        'PROCESSING validate',
        'QUEUED null',
        'QUEUED null',
      ])
      await expectNormalOperation(restored, second, ['shipped', 'scenario'])
    } finally {
      await restored.close()
      await other.close()
    }
  } finally {
    await system.close()
    await server.close()
  }
}, 300_000)

test('a backup of an earlier version is migrated with its rows, jobs and files', async () => {
  const system = await createTestSystem({ settings: { ADUANA_MAX_ACTIVE: '1' } })
  const older = await createEmptyDatabase()
  try {
    const second = await busySystem(system, false)
    await killAll(system)
    const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
    const migrations = await readMigrations()
    await migrate(older.url, migrations.slice(0, 2), logger)
    await fillOlder(system.database.pool, older.url)

    const [, , migration] = await blocksOf('Restore')
    if (!migration) throw new Error('the guide has no command that migrates')
    const dataDir = await mkdtemp(join(tmpdir(), 'aduana-test-'))
    await runShell(migration, { backup: system.dataDir, data: dataDir, dataDir, databaseUrl: older.url })
    expect(await schemaOf(older.url)).toBe(await readFile(SCHEMA_DUMP, 'utf8'))
    const database = openTestDatabase(older.url)
    const restored = await createTestSystem({ restored: { database, dataDir }, metrics: true })
    try {
      expect(await readContents(database.pool)).toEqual(await readContents(system.database.pool))
      expect(await statesOf(restored)).toEqual(await statesOf(system))
      await expectNormalOperation(restored, second, ['shipped'])
    } finally {
      await restored.close()
    }
  } finally {
    await older.drop()
    await system.close()
  }
}, 300_000)
