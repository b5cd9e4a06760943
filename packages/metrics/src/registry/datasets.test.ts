import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { ProblemError } from '@aduana/contracts/problems'
import { readDataset, registerDatasets } from '@aduana/datasets/registry'
import { SHIPPED } from '@aduana/datasets/shipped'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { registerShippedMetrics } from '../shipped/shipped.ts'
import { type Flow, openFlow } from '../testing/flow.ts'
import { saveDataset } from './datasets.ts'
import { saveMetric } from './metrics.ts'
import { saveSeries } from './series.ts'
import { readSeriesPlaces } from './series-places.ts'

let flow: Flow
let admin: string
beforeEach(async () => {
  flow = await openFlow()
  const user = await flow.db
    .insertInto('users')
    .values({ email: 'a@b.c', password_hash: 'x', role: 'admin' })
    .returning('id')
    .executeTakeFirstOrThrow()
  admin = user.id
})
afterEach(() => flow.drop())

const definitionOf = async (code: string) => (await readDataset(flow.db, code)).definition
const save = (definition: DatasetDefinition) => flow.inTx((tx) => saveDataset(tx, definition, admin))
/** Saves a dataset with the changes of a test. */
const change = async (code: string, with_: (now: DatasetDefinition) => Partial<DatasetDefinition>) => {
  const now = await definitionOf(code)
  return save({ ...now, ...with_(now) })
}
const inZone = (zone: string) => (now: DatasetDefinition) => ({
  columns: now.columns.map((column) =>
    column.type === 'timestamp' ? { ...column, timeZone: zone } : column,
  ),
})
const without = (name: string) => (now: DatasetDefinition) => ({
  columns: now.columns.filter((column) => column.name !== name),
})
const problem = (code: string) => (error: unknown) => error instanceof ProblemError && error.code === code
const count = async (from: string) =>
  Number((await flow.pool.query(`select count(*) from ${from}`)).rows[0]?.count)
const addOrder = (id: number, at: string) =>
  flow.pool.query(
    `insert into order_detail (id, order_id, "timestamp", company, warehouse, source_modified_timestamp, import_no, record, row_hash)
     values ($1, $2, $3, 'A', 'N', $3, 1, $1, 'x')`,
    [id, String(id), at],
  )
const countItems = (code: string, rest: object = {}) => ({
  code,
  title: { en: code, es: code },
  expression: { type: 'aggregate', op: 'count', series: 'orders.items' },
  ...rest,
})
const addItems = () =>
  flow.inTx((tx) =>
    saveSeries(
      tx,
      { code: 'orders.items', title: { en: 'x', es: 'x' }, dataset: 'orders', column: 'items_count' },
      null,
    ),
  )

describe('a dataset', () => {
  test('is saved as a new version, with its event and user, only if it differs', async () => {
    const title = { en: 'Sales orders', es: 'Pedidos' }
    expect(await change('orders', () => ({ title }))).toEqual({ code: 'orders', version: 2, changed: true })
    expect(await change('orders', () => ({ title }))).toEqual({ code: 'orders', version: 2, changed: false })
    expect(await readDataset(flow.db, 'orders')).toMatchObject({
      version: 2,
      createdBy: admin,
      definition: { title },
    })
    const events = await flow.pool.query(`select body from event_log where type = 'dataset.saved'`)
    expect(events.rows).toEqual([{ body: { type: 'dataset.saved', dataset: 'orders', version: 2 } }])
    const audits = await flow.pool.query(`select actor, details from audit_log where action = 'dataset.save'`)
    expect(audits.rows).toEqual([{ actor: admin, details: { version: 2 } }])
  })

  test('is refused with all of its errors, and nothing is saved', async () => {
    const wrong = change('orders', (now) => ({
      ...without('company')({ ...now, columns: [...now.columns] }),
      scope: undefined,
      table: { schema: 'public', name: 'users' },
    }))
    await expect(wrong).rejects.toSatisfy(problem('invalid_dataset'))
    await expect(wrong).rejects.toMatchObject({
      extra: {
        problems: expect.arrayContaining([expect.objectContaining({ path: 'table', code: 'fixed' })]),
      },
    })
    expect((await readDataset(flow.db, 'orders')).version).toBe(1)
  })

  test('knows only time zones that PostgreSQL knows', async () => {
    await expect(change('orders', inZone('america/BOGOTA'))).rejects.toMatchObject({
      extra: {
        problems: expect.arrayContaining([
          { path: 'columns[2].timeZone', code: 'contradiction', message: expect.any(String) },
        ]),
      },
    })
  })

  test('does not take a zone with summer time for the fixed offset of its abbreviation', async () => {
    for (const zone of ['CET', 'EET', 'MET', 'WET'])
      await expect(change('orders', inZone(zone))).rejects.toMatchObject({
        extra: {
          problems: expect.arrayContaining([
            expect.objectContaining({
              path: 'columns[2].timeZone',
              message: `PostgreSQL reads "${zone}" as a fixed offset. Use the name of a place in the zone, such as Europe/Madrid.`,
            }),
          ]),
        },
      })
  })

  test('that two users change concurrently is changed by one after the other, and each change has a version', async () => {
    const now = await definitionOf('orders')
    const titles = ['one', 'two', 'three'].map((en) => ({ en, es: en }))
    const saved = await Promise.all(titles.map((title) => save({ ...now, title })))
    expect(saved.map(({ version }) => version).sort()).toEqual([2, 3, 4])
    const last = titles[saved.findIndex(({ version }) => version === 4)]
    expect(await definitionOf('orders')).toMatchObject({ title: last })
  })

  test('can be added for a table of another schema, once for each table', async () => {
    await flow.pool.query(
      `create schema plant; create table plant.scrap (id bigint primary key, day date not null)`,
    )
    const scrap: DatasetDefinition = {
      ...(await definitionOf('dkt')),
      ...{
        code: 'scrap',
        table: { schema: 'plant', name: 'scrap' },
        windowColumn: 'day',
        rules: [],
        sortBy: [],
      },
      columns: (await definitionOf('dkt')).columns
        .filter(({ name }) => name === 'fecha')
        .map((column) => ({ ...column, name: 'day' })),
    }
    const { batchColumn: _, unique: __, loadedAtColumn: ___, ...own } = scrap
    expect(await save(own)).toEqual({ code: 'scrap', version: 1, changed: true })
    await expect(save({ ...own, code: 'scraps' })).rejects.toMatchObject({
      extra: { problems: [{ path: 'table', code: 'table_taken' }] },
    })
  })
})

describe('a dataset that metrics depend on', () => {
  test('keeps the columns of its series, and the error names the metrics that need them', async () => {
    await addItems()
    await flow.inTx((tx) => saveMetric(tx, countItems('items'), null))
    await expect(change('orders', without('items_count'))).rejects.toMatchObject({
      code: 'dataset_in_use',
      extra: {
        problems: [
          { series: 'orders.items', metric: null, path: 'column', code: 'no_column' },
          { metric: 'items', path: 'expression.series', code: 'no_column' },
        ],
      },
    })
    const managed = change('orders', (now) => ({
      columns: now.columns.map((column) =>
        column.name === 'items_count' ? { ...column, managed: true } : column,
      ),
    }))
    await expect(managed).rejects.toSatisfy(problem('dataset_in_use'))
    await change('orders', without('customer_id'))
  })

  test('keeps everything else that metrics need of it', async () => {
    await addItems()
    await flow.inTx((tx) => saveMetric(tx, countItems('by_warehouse', { grain: 'warehouse' }), null))
    await expect(change('orders', () => ({ scope: { company: 'company' } }))).rejects.toMatchObject({
      code: 'dataset_in_use',
      extra: { problems: [{ metric: 'by_warehouse', path: 'expression.series', code: 'grain_impossible' }] },
    })
    const dayless = change('orders', (now) => {
      const { windowColumn: _, ...rest } = now
      return { ...rest, windowColumn: undefined }
    })
    await expect(dayless).rejects.toMatchObject({
      extra: {
        problems: expect.arrayContaining([
          expect.objectContaining({ metric: 'by_warehouse', code: 'no_days' }),
        ]),
      },
    })
  })

  test('has its metrics recomputed for all old and new days only if its rows change days', async () => {
    await addItems()
    await addOrder(1, '2026-03-05T02:00:00Z') // the 4th in Bogotá, the 5th in Tokyo
    await addOrder(2, '2026-03-06T20:00:00Z') // the 6th in Bogotá, the 7th in Tokyo
    await flow.inTx((tx) => saveMetric(tx, countItems('items'), null))
    await flow.save({ twice: ['items'], others: ['production'] })
    await flow.work()
    await change('orders', () => ({ title: { en: 'Other', es: 'Otro' }, maxRejectRatio: 1 }))
    expect(await flow.work()).toEqual([])
    await change('orders', inZone('Asia/Tokyo'))
    expect(await flow.open('items')).toMatchObject({ cause: 'definition', days: '{[2026-03-04,2026-03-08)}' })
    expect(await flow.work()).toEqual(['items', 'twice'])
  })

  test('is read with null where a column that is now required has empty cells', async () => {
    await addItems()
    await flow.inTx((tx) => saveMetric(tx, countItems('items'), null))
    await change('orders', (now) => ({
      columns: now.columns.map((column) =>
        column.name === 'items_count' ? { ...column, required: true } : column,
      ),
    }))
    const place = (await readSeriesPlaces(flow.db)).get('orders.items')
    const required = (name: string) =>
      place?.definition.columns.find((column) => column.name === name)?.required
    expect([required('items_count'), required('company')]).toEqual([false, true])
  })
})

describe('a shipped dataset', () => {
  const shippedAgain = (definition: DatasetDefinition) =>
    SHIPPED.map((other) => (other.code === definition.code ? definition : other))
  const newer = async () => ({ ...(await definitionOf('dkt')), maxRejectRatio: 0.5 })

  test('follows the program until a user changes it', async () => {
    expect(await registerDatasets(flow.db, shippedAgain(await newer()))).toEqual([])
    expect(await readDataset(flow.db, 'dkt')).toMatchObject({ version: 2, createdBy: null })
  })

  test("keeps a user's change until the shipped definition is restored", async () => {
    const shipped = await definitionOf('dkt')
    const update = { ...shipped, maxRejectRatio: 0.5 }
    await change('dkt', () => ({ maxRejectRatio: 0.1 }))
    expect(await registerDatasets(flow.db, SHIPPED)).toEqual(['dkt'])
    expect(await registerDatasets(flow.db, shippedAgain(update))).toEqual(['dkt'])
    expect(await readDataset(flow.db, 'dkt')).toMatchObject({
      version: 2,
      definition: { maxRejectRatio: 0.1 },
    })
    await save(shipped)
    expect(await registerDatasets(flow.db, shippedAgain(update))).toEqual([])
    expect(await readDataset(flow.db, 'dkt')).toMatchObject({
      version: 4,
      definition: { maxRejectRatio: 0.5 },
    })
  })

  test('can be registered and changed concurrently', async () => {
    const shipped = await definitionOf('orders')
    await Promise.all([
      ...Array.from({ length: 3 }, () =>
        registerDatasets(flow.db, shippedAgain({ ...shipped, quarantineCap: 7 })),
      ),
      ...Array.from({ length: 3 }, (_, at) => save({ ...shipped, quarantineCap: 10 + at })),
    ])
    const { version } = await readDataset(flow.db, 'orders')
    expect(
      await count(`dataset_versions v join datasets d on d.id = v.dataset_id where d.code = 'orders'`),
    ).toBe(version)
    expect(version).toBeGreaterThanOrEqual(4)
  })
})

describe('a series', () => {
  const series = {
    code: 'orders.items',
    title: { en: 'I', es: 'I' },
    dataset: 'orders',
    column: 'items_count',
  }
  const saveOne = (change: object = {}, by: string | null = admin) =>
    flow.inTx((tx) => saveSeries(tx, { ...series, ...change }, by))
  const versions = async () =>
    (
      await flow.pool.query(
        `select v.version, v.created_by, v.definition ->> 'unit' as unit from series_versions v
         join series s on s.id = v.series_id where s.code = 'orders.items' order by 1`,
      )
    ).rows

  test('is saved as a new version only if it differs', async () => {
    expect(await saveOne()).toEqual({ code: 'orders.items', version: 1, changed: true })
    expect(await saveOne()).toEqual({ code: 'orders.items', version: 1, changed: false })
    expect(await saveOne({ unit: 'pieces' })).toEqual({ code: 'orders.items', version: 2, changed: true })
    expect(await versions()).toEqual([
      { version: 1, created_by: admin, unit: null },
      { version: 2, created_by: admin, unit: 'pieces' },
    ])
    await Promise.all(['a', 'b', 'c'].map((unit) => saveOne({ unit })))
    expect((await versions()).map(({ version }) => version)).toEqual([1, 2, 3, 4, 5])
    await expect(saveOne({ column: 'none' })).rejects.toSatisfy(problem('bad_request'))
    expect(await versions()).toHaveLength(5)
  })

  test("that is shipped keeps a user's change", async () => {
    await registerShippedMetrics(flow.db)
    const rows = {
      code: 'orders.rows',
      title: { en: 'Ours', es: 'Nuestros' },
      dataset: 'orders',
      column: null,
    }
    await flow.inTx((tx) => saveSeries(tx, rows, admin))
    await registerShippedMetrics(flow.db)
    const stored = await flow.pool.query(
      `select title, current_version from series where code = 'orders.rows'`,
    )
    expect(stored.rows).toEqual([{ title: rows.title, current_version: 2 }])
  })
})
