import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { ProblemError } from '@aduana/contracts/problems'
import { readDataset } from '@aduana/datasets/registry'
import { saveDataset } from '@aduana/datasets/save/save-dataset'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Flow, openFlow } from '../testing/flow.ts'
import { DATASET_DEPENDENTS } from './dataset-dependents.ts'
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
const save = (definition: DatasetDefinition) =>
  flow.inTx((tx) => saveDataset(tx, DATASET_DEPENDENTS, definition, admin))
/** Save a dataset with what a test changes of it. */
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

describe('what depends on a dataset', () => {
  test('keeps it from losing columns of series, and names the metrics over them', async () => {
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

  test('keeps it from losing what metrics need of it', async () => {
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

  test('is computed anew for all days of before and after when rows get other days, and not otherwise', async () => {
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

  test('is read as its table is: a column that has become required may hold empty cells', async () => {
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
