import type { Job } from '@aduana/contracts/jobs'
import { readJob } from '@aduana/jobs/read/jobs'
import { applyRetention } from '@aduana/jobs/retention/apply'
import { pruneExpired } from '@aduana/jobs/retention/housekeeping'
import { createLogger } from '@aduana/runtime/logger'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pruneRows } from './retention.ts'

const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'
const logger = createLogger({ name: 'test', level: 'silent', pretty: false })

let system: TestSystem
beforeAll(async () => {
  system = await createTestSystem({ workers: 1 })
})
afterAll(() => system.close())

/** Returns twenty rows of two days; `bad` of them have an invalid machine. */
function file(material: string, bad = 0): string {
  const rows = Array.from(
    { length: 20 },
    (_, n) => `2024-05-0${(n % 2) + 1};${n < bad ? 'x' : 'M001'};W0001;1;${material};L${n};1;1;`,
  )
  return `${HEADER}\n${rows.join('\n')}\n`
}

async function keptFiles(job: Job): Promise<string[]> {
  const { rows } = await system.database.pool.query(
    'select name, key from artifacts where job_id = $1 and removed_at is null order by name',
    [job.id],
  )
  const there: string[] = []
  for await (const { key } of system.store.list(`jobs/${job.id}`)) there.push(key)
  expect(there.sort()).toEqual(rows.map(({ key }: { key: string }) => key).sort())
  return rows.map(({ name }: { name: string }) => name)
}

test('the files of imports are removed at the end of their retention, and not before', {
  timeout: 120_000,
}, async () => {
  const first = await system.import(file('PVC'), { dataset: 'production' })
  const second = await system.import(file('PET', 2), { dataset: 'production' })
  expect([first.status, second.status]).toEqual(['COMPLETED', 'COMPLETED'])
  const apply = (days: number) =>
    applyRetention(system.database.db, system.store, logger, new Date(Date.now() + days * 86_400_000))

  await apply(13)
  const intermediates = ['clean.parquet', 'parsed.parquet', 'structural.ndjson']
  expect(await keptFiles(second)).toEqual(expect.arrayContaining(intermediates))

  await apply(15)
  const lasting = ['duplicates.ndjson', 'original', 'rejects.ndjson']
  expect(await keptFiles(first)).toEqual(lasting)
  // The rows that the second import replaced can be restored.
  expect(await keptFiles(second)).toEqual(['before-image.csv.gz', ...lasting])
  await pruneExpired(system.database.db, system.store, logger, new Date(Date.now() + 15 * 86_400_000))
  expect(await keptFiles(second)).toEqual(['before-image.csv.gz', ...lasting])

  await apply(91)
  expect(await keptFiles(second)).toEqual(lasting)

  await apply(401)
  expect(await keptFiles(first)).toEqual([])
  // Its rejects are open.
  expect(await keptFiles(second)).toEqual(['duplicates.ndjson', 'original', 'rejects.ndjson'])
})

test('the rows of imports are removed once, by concurrent processes too, and the jobs stay', async () => {
  const { pool, db } = system.database
  await pool.query(
    'begin; set local session_replication_role = replica; truncate jobs, event_log cascade; commit',
  )
  const first = await system.import(file('ABS'), { dataset: 'production' })
  const second = await system.import(file('PP'), { dataset: 'production' })
  await pool.query(
    `insert into event_log (event_key, type, body, occurred_at)
     select 'old ' || n, 'test', '{}', now() - interval '100 days' from generate_series(1, 20) n`,
  )
  const days = { ADUANA_EVENT_DAYS: 30, ADUANA_HISTORY_DAYS: 90 }
  const count = async (table: string) => (await pool.query(`select from ${table}`)).rowCount
  expect(await Promise.all(['stage_results', 'window_ledger_before'].map(count))).toEqual([10, 4])
  const events = (await count('event_log')) ?? 0

  await Promise.all(Array.from({ length: 4 }, () => pruneRows(db, days, logger)))
  expect(await Promise.all(['stage_results', 'window_ledger_before'].map(count))).toEqual([10, 4])
  expect(await count('event_log')).toBe(events - 20)

  const later = new Date(Date.now() + 91 * 86_400_000)
  const patient = { ...days, ADUANA_EVENT_DAYS: 36_500 }
  await Promise.all(Array.from({ length: 4 }, () => pruneRows(db, patient, logger, later)))
  expect(await Promise.all(['stage_results', 'window_ledger_before'].map(count))).toEqual([0, 0])
  expect(await count('event_log')).toBe(events - 20)
  for (const { id } of [first, second])
    expect(await readJob(db, system.admin, id)).toMatchObject({ status: 'COMPLETED', attempts: [] })
})
