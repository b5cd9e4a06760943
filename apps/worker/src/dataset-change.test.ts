import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { readDataset } from '@aduana/datasets/registry'
import { retryJob } from '@aduana/jobs/lifecycle/retry'
import { saveDatasetAs } from '@aduana/metrics/commands'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { requestUndo, undone } from '@aduana/testkit/undo'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { metricsOf } from './testing/metrics.ts'

vi.setConfig({ testTimeout: 240_000 })

let system: TestSystem | undefined
afterEach(async () => {
  await system?.close()
  system = undefined
})

const open = async (options: Parameters<typeof createTestSystem>[0]) => {
  system = await createTestSystem(options)
  return system
}

/** Changes a dataset as an admin. */
async function change(
  { database, admin }: TestSystem,
  code: string,
  with_: (now: DatasetDefinition) => Partial<DatasetDefinition>,
): Promise<number> {
  const { definition } = await readDataset(database.db, code)
  const saved = await saveDatasetAs(database.db, admin, code, { ...definition, ...with_(definition) })
  return saved.version
}

const inZone = (zone: string) => (now: DatasetDefinition) => ({
  columns: now.columns.map((column) =>
    column.type === 'timestamp' ? { ...column, timeZone: zone } : column,
  ),
})

const HEADER = 'order_id,timestamp,items_count,company,warehouse,source_modified_timestamp'
/** Returns a file of orders at the given times, each with one item more than the one before. */
const ordersFile = (...moments: [id: string, at: string, company?: string][]) =>
  `${[HEADER, ...moments.map(([id, at, company = 'A'], n) => `${id},${at},${n + 1},${company},N,2026-03-20T00:00:00Z`)].join('\n')}\n`

/** Times around midnight in Bogotá, in UTC and in Tokyo, at the change of a month. */
const AROUND = ordersFile(
  ['1', '2026-02-28T23:30:00-05:00'],
  ['2', '2026-03-01T00:30:00-05:00'],
  ['3', '2026-03-01T04:00:00Z', 'B'],
  ['4', '2026-03-01T15:30:00Z'],
  ['5', '2026-03-02T14:59:59Z'],
  ['6', '2026-03-09T23:59:59-05:00', 'B'],
)

const ledger = (of: TestSystem, code: string) =>
  metricsOf(of).query(
    `select l.day::text, l.job_id, l.rows::int from window_ledger l join datasets d on d.id = l.dataset_id
     where d.code = $1 and l.rows > 0 order by 1`,
    [code],
  )
const ledgerByHand = (of: TestSystem, zone: string) =>
  metricsOf(of).query(
    `select (o.timestamp at time zone $1)::date::text as day,
       (array_agg(i.job_id order by i.import_no desc))[1] as job_id, count(*)::int as rows
     from order_detail o join imports i using (import_no) group by 1 order by 1`,
    [zone],
  )

describe('a dataset whose time zone is changed', () => {
  test('has the same metrics as plain SQL in the new zone, and owners of the new days', async () => {
    const installation = await open({ workers: 1, metrics: true })
    const metrics = metricsOf(installation)
    await installation.import(AROUND, { dataset: 'orders' })
    await installation.import(ordersFile(['7', '2026-03-01T18:00:00Z']), { dataset: 'orders' })
    await metrics.settled()
    expect(await metrics.ordersDifferences()).toEqual([])
    for (const zone of ['Asia/Tokyo', 'Pacific/Honolulu', 'UTC']) {
      await change(installation, 'orders', inZone(zone))
      await metrics.settled()
      expect(await metrics.ordersDifferences(zone)).toEqual([])
      expect(await ledger(installation, 'orders')).toEqual(await ledgerByHand(installation, zone))
    }
    await installation.import(ordersFile(['3', '2026-03-01T23:59:00Z'], ['8', '2026-03-02T00:01:00Z']), {
      dataset: 'orders',
    })
    await metrics.settled()
    expect(await metrics.ordersDifferences('UTC')).toEqual([])
    expect(await ledger(installation, 'orders')).toEqual(await ledgerByHand(installation, 'UTC'))
    expect(await metrics.query(`select distinct status from metric_runs`)).toEqual([{ status: 'SUCCEEDED' }])
  })

  test('undoes only imports that were loaded since, and retries none from before', async () => {
    const installation = await open({ workers: 1 })
    const { database, admin } = installation
    const before = await installation.import(AROUND, { dataset: 'orders' })
    const failed = await installation.import(ordersFile(['9', 'never']), { dataset: 'orders' })
    expect([before.status, failed.status]).toEqual(['COMPLETED', 'FAILED'])
    await change(installation, 'orders', inZone('UTC'))
    await expect(requestUndo(installation, before.id)).rejects.toMatchObject({ code: 'undo_expired' })
    await expect(retryJob(database.db, admin, failed.id)).rejects.toMatchObject({
      code: 'illegal_transition',
    })
    await change(installation, 'orders', inZone('America/Bogota'))
    await expect(requestUndo(installation, before.id)).rejects.toMatchObject({ code: 'undo_expired' })
    const after = await installation.import(ordersFile(['1', '2026-02-27T08:00:00Z']), { dataset: 'orders' })
    await undone(installation, after.id)
    expect(await ledger(installation, 'orders')).toEqual(await ledgerByHand(installation, 'America/Bogota'))
  })

  test('keeps its time zone while it has an open job, but its rules can be changed', async () => {
    const installation = await open({})
    const id = await installation.accept(AROUND, { dataset: 'orders' })
    const zone = () => change(installation, 'orders', inZone('UTC'))
    await expect(zone()).rejects.toMatchObject({ code: 'dataset_busy', extra: { jobs: [id] } })
    expect(await change(installation, 'orders', () => ({ maxRejectRatio: 1 }))).toBe(2)
    await installation.startWorker()
    expect((await installation.finished(id)).status).toBe('COMPLETED')
    expect(await zone()).toBe(3)
  })

  test.each([0, 1, 3])(
    'has no job of the version before, although files are accepted during the change (change number %s)',
    async (place) => {
      const installation = await open({})
      const accept = (n: number) =>
        installation.accept(ordersFile([`${n}`, '2026-03-01T12:00:00Z']), { dataset: 'orders' })
      const work: (() => Promise<unknown>)[] = [1, 2, 3].map((n) => () => accept(n))
      work.splice(place, 0, () => change(installation, 'orders', inZone('UTC')))
      const outcomes = await Promise.allSettled(work.map((begin) => begin()))
      const current = outcomes[place]?.status === 'fulfilled' ? 2 : 1
      const versions = await metricsOf(installation).query(
        'select distinct dataset_version as version from imports',
      )
      expect(versions).toEqual([{ version: current }])
    },
  )
})

test('a job keeps the version of the dataset that it was accepted with', async () => {
  const installation = await open({})
  const strange = AROUND.replace('items_count', 'how many')
  const first = await installation.accept(strange, { dataset: 'orders' })
  await change(installation, 'orders', (now) => ({
    columns: now.columns.map((column) =>
      column.name === 'items_count' ? { ...column, aliases: ['how many'] } : column,
    ),
  }))
  const second = await installation.accept(strange, { dataset: 'orders', force: 'true' })
  await installation.startWorker()
  const items = async (job: string) => {
    expect((await installation.finished(job)).status).toBe('COMPLETED')
    const rows = await metricsOf(installation).query(
      `select sum(o.items_count)::int as items from order_detail o join imports i using (import_no) where i.job_id = $1`,
      [job],
    )
    return rows[0]?.items
  }
  expect(await items(first)).toBe(null)
  expect(await items(second)).toBe(21)
})
