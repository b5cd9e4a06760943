import { ProblemError } from '@aduana/contracts/problems'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { registerShippedMetrics } from '../shipped/shipped.ts'
import { type Flow, openFlow } from '../testing/flow.ts'
import { saveSeries } from './series.ts'

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

const problem = (code: string) => (error: unknown) => error instanceof ProblemError && error.code === code

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

  test('is saved as the next version when it differs, and as none when it does not', async () => {
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

  test('that comes with the program stays as somebody has changed it', async () => {
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
