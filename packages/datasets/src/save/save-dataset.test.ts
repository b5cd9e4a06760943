import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { ProblemError } from '@aduana/contracts/problems'
import { inTransaction } from '@aduana/db/database'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readDataset, registerDatasets } from '../registry.ts'
import { SHIPPED } from '../shipped.ts'
import type { DatasetDependents } from './dependents.ts'
import { saveDataset } from './save-dataset.ts'

let database: TestDatabase
let admin: string
beforeEach(async () => {
  database = await createTestDatabase()
  const user = await database.db
    .insertInto('users')
    .values({ email: 'a@b.c', password_hash: 'x', role: 'admin' })
    .returning('id')
    .executeTakeFirstOrThrow()
  admin = user.id
})
afterEach(() => database.drop())

/** Nothing depends on any dataset. */
const NOTHING: DatasetDependents = { lock: async () => undefined, check: async () => async () => undefined }

const definitionOf = async (code: string) => (await readDataset(database.db, code)).definition
const save = (definition: DatasetDefinition, dependents = NOTHING) =>
  inTransaction(database.db, (tx) => saveDataset(tx, dependents, definition, admin))
/** Saves a dataset with what a test changes of it. */
const change = async (
  code: string,
  with_: (now: DatasetDefinition) => Partial<DatasetDefinition>,
  dependents = NOTHING,
) => {
  const now = await definitionOf(code)
  return save({ ...now, ...with_(now) }, dependents)
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
  Number((await database.pool.query(`select count(*) from ${from}`)).rows[0]?.count)

describe('a dataset', () => {
  test('is saved as the next version when it differs, with its event and who did it; as none when it does not', async () => {
    const title = { en: 'Sales orders', es: 'Pedidos' }
    expect(await change('orders', () => ({ title }))).toEqual({ code: 'orders', version: 2, changed: true })
    expect(await change('orders', () => ({ title }))).toEqual({ code: 'orders', version: 2, changed: false })
    expect(await readDataset(database.db, 'orders')).toMatchObject({
      version: 2,
      createdBy: admin,
      definition: { title },
    })
    const events = await database.pool.query(`select body from event_log where type = 'dataset.saved'`)
    expect(events.rows).toEqual([{ body: { type: 'dataset.saved', dataset: 'orders', version: 2 } }])
    const audits = await database.pool.query(
      `select actor, details from audit_log where action = 'dataset.save'`,
    )
    expect(audits.rows).toEqual([{ actor: admin, details: { version: 2 } }])
  })

  test('is refused with everything that is wrong, and nothing of it stays', async () => {
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
    expect((await readDataset(database.db, 'orders')).version).toBe(1)
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
              message: `PostgreSQL reads the time zone "${zone}" as a fixed offset. Use a name such as Europe/Madrid.`,
            }),
          ]),
        },
      })
  })

  test('that two change at once is changed by one after the other, and each has a version', async () => {
    const now = await definitionOf('orders')
    const titles = ['one', 'two', 'three'].map((en) => ({ en, es: en }))
    const saved = await Promise.all(titles.map((title) => save({ ...now, title })))
    expect(saved.map(({ version }) => version).sort()).toEqual([2, 3, 4])
    const last = titles[saved.findIndex(({ version }) => version === 4)]
    expect(await definitionOf('orders')).toMatchObject({ title: last })
  })

  test('is added over a table of another schema, once for each table', async () => {
    await database.pool.query(
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

describe('what depends on a dataset', () => {
  /** Records what is called, and the version that is current in the transaction then. */
  const recording = (calls: unknown[][]): DatasetDependents => ({
    lock: async (tx) => {
      const held = await database.pool.query('select from datasets for no key update skip locked')
      calls.push(['lock', (await readDataset(tx, 'orders')).version, held.rowCount === SHIPPED.length])
    },
    check: async (tx, { before, moves }) => {
      calls.push(['check', before.version, (await readDataset(tx, 'orders')).version, moves])
      return async (saved) => {
        calls.push(['follow', saved.version, (await readDataset(tx, 'orders')).version])
      }
    },
  })

  test('is locked before the dataset, checks a change before it is written, and follows it', async () => {
    const calls: unknown[][] = []
    await change('orders', () => ({ maxRejectRatio: 0.5 }), recording(calls))
    expect(calls).toEqual([
      ['lock', 1, true],
      ['check', 1, 1, false],
      ['follow', 2, 2],
    ])
  })

  test('is told of a change that gives rows other days', async () => {
    const calls: unknown[][] = []
    await change('orders', inZone('Asia/Tokyo'), recording(calls))
    expect(calls[1]).toEqual(['check', 1, 1, true])
  })

  test('is not asked about a definition that is current or invalid', async () => {
    const calls: unknown[][] = []
    await change('orders', () => ({}), recording(calls))
    await expect(change('orders', inZone('CET'), recording(calls))).rejects.toSatisfy(
      problem('invalid_dataset'),
    )
    expect(calls.map(([name]) => name)).toEqual(['lock', 'lock'])
  })

  test('refuses a change as a whole, before it is written and after', async () => {
    const refusal = new ProblemError('dataset_in_use', 'a metric needs it')
    const refuse = async () => Promise.reject(refusal)
    for (const check of [refuse, async () => refuse])
      await expect(
        change('orders', () => ({ maxRejectRatio: 0.5 }), { ...NOTHING, check }),
      ).rejects.toSatisfy(problem('dataset_in_use'))
    expect((await readDataset(database.db, 'orders')).version).toBe(1)
    expect(await count(`event_log where type = 'dataset.saved'`)).toBe(0)
  })
})

describe('a shipped dataset', () => {
  const shippedAgain = (definition: DatasetDefinition) =>
    SHIPPED.map((other) => (other.code === definition.code ? definition : other))
  const newer = async () => ({ ...(await definitionOf('dkt')), maxRejectRatio: 0.5 })

  test('follows the program as long as nobody has changed it', async () => {
    expect(await registerDatasets(database.db, shippedAgain(await newer()))).toEqual([])
    expect(await readDataset(database.db, 'dkt')).toMatchObject({ version: 2, createdBy: null })
  })

  test('stays as somebody has changed it, until the shipped one is put back', async () => {
    const shipped = await definitionOf('dkt')
    const update = { ...shipped, maxRejectRatio: 0.5 }
    await change('dkt', () => ({ maxRejectRatio: 0.1 }))
    expect(await registerDatasets(database.db, SHIPPED)).toEqual(['dkt'])
    expect(await registerDatasets(database.db, shippedAgain(update))).toEqual(['dkt'])
    expect(await readDataset(database.db, 'dkt')).toMatchObject({
      version: 2,
      definition: { maxRejectRatio: 0.1 },
    })
    await save(shipped)
    expect(await registerDatasets(database.db, shippedAgain(update))).toEqual([])
    expect(await readDataset(database.db, 'dkt')).toMatchObject({
      version: 4,
      definition: { maxRejectRatio: 0.5 },
    })
  })

  test('is registered and changed at once without harm', async () => {
    const shipped = await definitionOf('orders')
    await Promise.all([
      ...Array.from({ length: 3 }, () =>
        registerDatasets(database.db, shippedAgain({ ...shipped, quarantineCap: 7 })),
      ),
      ...Array.from({ length: 3 }, (_, at) => save({ ...shipped, quarantineCap: 10 + at })),
    ])
    const { version } = await readDataset(database.db, 'orders')
    expect(
      await count(`dataset_versions v join datasets d on d.id = v.dataset_id where d.code = 'orders'`),
    ).toBe(version)
    expect(version).toBeGreaterThanOrEqual(4)
  })
})
