import { Dataset, DatasetVersion, SavedDataset } from '@aduana/contracts/datasets'
import { page } from '@aduana/contracts/jobs'
import { MetricVersion, SeriesVersion } from '@aduana/contracts/metrics/http'
import { Problem } from '@aduana/contracts/problems'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { JSON_BODY } from '../testing/metrics.ts'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

let api: TestApi
let admin: TestUser
let steward: TestUser
let viewer: TestUser
beforeAll(async () => {
  api = await startApi()
  admin = await api.addUser('admin')
  steward = await api.addUser('steward')
  viewer = await api.addUser('viewer')
  await api.context.db.schema.createSchema('plant').execute()
  await api.context.db.schema
    .createTable('plant.scrap')
    .addColumn('id', 'bigint', (column) => column.primaryKey())
    .addColumn('day', 'date', (column) => column.notNull())
    .addColumn('kilos', 'numeric')
    .execute()
})
afterAll(() => api.close())

const read = async (code: string) => Dataset.parse(await (await viewer.ask(`/api/datasets/${code}`)).json())
const put = (path: string, body: unknown, as = admin) =>
  as.ask(`/api/${path}`, { method: 'PUT', headers: JSON_BODY, body: JSON.stringify(body) })
const saved = async (answer: Response) => ({
  status: answer.status,
  ...SavedDataset.parse(await answer.json()),
})
const problem = async (answer: Response) => Problem.parse(await answer.json())
const scrap = {
  title: { en: 'Scrap', es: 'Desperdicio' },
  table: { schema: 'plant', name: 'scrap' },
  columns: [
    { name: 'day', type: 'date', required: true },
    { name: 'kilos', type: 'decimal', precision: 12, scale: 3 },
  ],
  loadMode: 'replace-window',
  windowColumn: 'day',
}

describe('a dataset over HTTP', () => {
  test('is read, changed and saved by an admin', async () => {
    const { definition, asShipped, changedBy } = await read('dkt')
    expect([asShipped, changedBy]).toEqual([true, null])
    expect(await saved(await put('datasets/dkt', definition))).toEqual({
      ...{ status: 200, code: 'dkt', version: 1, changed: false },
    })
    const changed = { ...definition, maxRejectRatio: 0.5 }
    expect(await saved(await put('datasets/dkt', changed))).toMatchObject({
      status: 200,
      version: 2,
      changed: true,
    })
    expect(await read('dkt')).toMatchObject({
      ...{ version: 2, asShipped: false, changedBy: admin.userId, definition: changed },
    })
    const { items } = Object(await (await viewer.ask('/api/datasets')).json())
    expect(items).toContainEqual(await read('dkt'))
  })

  test('is added for an existing table', async () => {
    expect(await saved(await put('datasets/scrap', scrap))).toEqual({
      ...{ status: 201, code: 'scrap', version: 1, changed: true },
    })
    expect(await read('scrap')).toMatchObject({ asShipped: null, changedBy: admin.userId })
    expect((await problem(await put('datasets/waste', scrap))).problems).toMatchObject([
      { code: 'table_taken' },
    ])
  })

  test.each(['public', 'information_schema', 'pg_catalog'])(
    'is refused for a table of the schema %s',
    async (schema) => {
      const answer = await problem(await put('datasets/mine', { ...scrap, table: { schema, name: 'users' } }))
      expect(answer).toMatchObject({ code: 'invalid_dataset', status: 422 })
      expect(answer.problems).toContainEqual(
        expect.objectContaining({ path: 'table.schema', code: 'program_table' }),
      )
    },
  )

  test('is refused with all of its errors', async () => {
    const malformed = await problem(await put('datasets/orders', { columns: 'none', code: 'sales' }))
    expect(malformed).toMatchObject({
      code: 'invalid_dataset',
      detail: expect.stringMatching(/And \d+ more problems\./),
    })
    expect(malformed.problems).toContainEqual(expect.objectContaining({ path: 'columns', code: 'invalid' }))
    expect(malformed.problems).toContainEqual(expect.objectContaining({ path: 'code', code: 'invalid' }))
    const { definition } = await read('orders')
    const columns = definition.columns.map((column) =>
      column.name === 'order_id' ? { ...column, pattern: '(', maxLength: 99 } : column,
    )
    const unfit = await problem(await put('datasets/orders', { ...definition, columns, key: ['company'] }))
    expect(unfit.problems).toMatchObject([
      { path: 'columns[0]', code: 'table_differs' },
      { path: 'key', code: 'table_differs' },
      { path: 'columns[0].pattern', code: 'pattern' },
    ])
    expect((await read('orders')).version).toBe(1)
  })

  test('is read as it was written, without lengths that were not written, and refused with a length too large for its key', async () => {
    await sql`create table plant.lots (id bigint primary key, lot text not null unique, import_no int, record bigint, row_hash text)`.execute(
      api.context.db,
    )
    const lots = {
      ...{ title: { en: 'Lots', es: 'Lotes' }, table: { schema: 'plant', name: 'lots' } },
      ...{ loadMode: 'upsert', key: ['lot'], columns: [{ name: 'lot', type: 'text', required: true }] },
    }
    expect(await saved(await put('datasets/lots', lots))).toMatchObject({ status: 201, version: 1 })
    const { definition } = await read('lots')
    expect(definition.columns[0]).not.toHaveProperty('maxLength')
    const withLength = (maxLength: number) => ({
      ...definition,
      columns: definition.columns.map((column) => ({ ...column, maxLength })),
    })
    const refused = await problem(await put('datasets/lots', withLength(4000)))
    expect(refused).toMatchObject({ code: 'invalid_dataset', status: 422 })
    expect(refused.problems).toMatchObject([
      {
        path: 'columns[0].maxLength',
        code: 'key_too_long',
        message: expect.stringContaining('a maxLength of at most 670 or none'),
      },
    ])
    expect(await saved(await put('datasets/lots', definition))).toMatchObject({ version: 1, changed: false })
    expect(await saved(await put('datasets/lots', withLength(670)))).toMatchObject({ version: 2 })
    expect((await read('lots')).definition).toEqual(withLength(670))
  })

  test('with a stored length too large for its key can be saved again and changed otherwise', async () => {
    await sql`update dataset_versions v set definition = jsonb_set(v.definition, '{columns,0,maxLength}', '4000')
      from datasets d where d.id = v.dataset_id and d.code = 'lots' and v.version = d.current_version`.execute(
      api.context.db,
    )
    const { definition } = await read('lots')
    expect(definition.columns[0]).toMatchObject({ maxLength: 4000 })
    expect((await put('datasets/lots', definition)).status).toBe(200)
    const renamed = { ...definition, title: { en: 'All lots', es: 'Todos los lotes' } }
    expect((await put('datasets/lots', renamed)).status).toBe(200)
    expect((await read('lots')).definition).toEqual(renamed)
    const longer = definition.columns.map((column) => ({ ...column, maxLength: 4001 }))
    expect((await put('datasets/lots', { ...renamed, columns: longer })).status).toBe(422)
  })

  test('keeps the columns that metrics use', async () => {
    const { definition } = await read('production')
    const columns = definition.columns.filter(({ name }) => name !== 'material')
    const answer = await problem(await put('datasets/production', { ...definition, columns }))
    expect(answer).toMatchObject({ code: 'dataset_in_use', status: 409 })
    expect(answer.problems).toContainEqual(
      expect.objectContaining({ series: 'production.material', path: 'column', code: 'no_column' }),
    )
  })

  test('can be changed only by admins, and has its code in its address', async () => {
    expect((await put('datasets/orders', {}, steward)).status).toBe(403)
    expect((await problem(await put('datasets/No-Code', scrap))).code).toBe('bad_request')
  })

  test('that two admins change concurrently has a version of each', async () => {
    const { definition, version } = await read('orders')
    const answers = await Promise.all(
      [1, 2].map((quarantineCap) => put('datasets/orders', { ...definition, quarantineCap })),
    )
    const versions = (await Promise.all(answers.map(saved))).map((answer) => answer.version)
    expect(versions.sort()).toEqual([version + 1, version + 2])
  })
})

describe('versions', () => {
  test('of a dataset are shown to stewards, newest first, page by page', async () => {
    const { definition } = await read('scrap')
    for (const quarantineCap of [1, 2, 3]) await put('datasets/scrap', { ...definition, quarantineCap })
    const list = async (query: string) =>
      page(DatasetVersion).parse(await (await steward.ask(`/api/datasets/scrap/versions${query}`)).json())
    const first = await list('?limit=3')
    expect(first.items).toMatchObject([4, 3, 2].map((version) => ({ version, createdBy: admin.userId })))
    expect(first.items[0]?.definition.quarantineCap).toBe(3)
    const rest = await list(`?limit=3&cursor=${first.next}`)
    expect([rest.items.map(({ version }) => version), rest.next]).toEqual([[1], null])
    expect((await viewer.ask('/api/datasets/scrap/versions')).status).toBe(403)
    expect((await problem(await steward.ask('/api/datasets/none/versions'))).code).toBe('unknown_dataset')
    expect((await problem(await steward.ask('/api/datasets/scrap/versions?cursor=x'))).code).toBe(
      'bad_request',
    )
  })

  test('of metrics and series are shown to stewards', async () => {
    const title = { en: 'Pieces made', es: 'Unidades hechas' }
    const place = { title, dataset: 'production', column: 'cantidad' }
    await put('series/production.quantity', place)
    const rows = { type: 'aggregate', op: 'count', series: 'production.rows' }
    await put('metrics/made', { title, expression: rows })
    await put('metrics/made', { title, expression: rows, description: 'x' })
    const series = page(SeriesVersion).parse(
      await (await steward.ask('/api/series/production.quantity/versions')).json(),
    )
    expect(series.items).toMatchObject([
      { version: 2, createdBy: admin.userId, definition: { code: 'production.quantity', ...place } },
      { version: 1, createdBy: null, definition: { unit: 'pieces' } },
    ])
    const metric = page(MetricVersion).parse(await (await steward.ask('/api/metrics/made/versions')).json())
    expect(metric.items).toMatchObject([{ version: 2, definition: { description: 'x' } }, { version: 1 }])
    for (const path of ['series/production.quantity', 'metrics/made'])
      expect((await viewer.ask(`/api/${path}/versions`)).status).toBe(403)
    expect((await problem(await steward.ask('/api/series/none/versions'))).code).toBe('unknown_series')
    expect((await problem(await steward.ask('/api/metrics/none/versions'))).code).toBe('unknown_metric')
  })
})
