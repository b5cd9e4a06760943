import { ProblemError } from '@aduana/contracts/problems'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { registerShippedMetrics, SHIPPED_METRICS } from '../shipped/shipped.ts'
import { type Flow, openFlow, sumOf } from '../testing/flow.ts'
import { listMetrics, readMetric, retireMetric, saveMetric } from './metrics.ts'
import { saveSeries } from './series.ts'

let flow: Flow
beforeEach(async () => {
  flow = await openFlow()
})
afterEach(() => flow.drop())

const definition = (code: string, parts: readonly string[], rest: object = {}) => ({
  code,
  title: { en: code, es: code },
  expression: sumOf(parts),
  ...rest,
})
const save = (code: string, parts: readonly string[], rest: object = {}) =>
  flow.inTx((tx) => saveMetric(tx, definition(code, parts, rest), null))
const needs = async (code: string) =>
  (
    await flow.pool.query<{ need: string }>(
      `select coalesce(d.code || ' ' || n.required_days, s.code, o.code) as need
       from metric_dependencies n join metrics m on m.id = n.metric_id left join datasets d on d.id = n.dataset_id
         left join series s on s.id = n.series_id left join metrics o on o.id = n.needs_metric_id
       where m.code = $1 order by 1`,
      [code],
    )
  ).rows.map(({ need }) => need)
const levels = async () =>
  Object.fromEntries(
    (await flow.pool.query('select code, level from metrics')).rows.map((row) => [row.code, row.level]),
  )
const problem = (code: string) => (error: unknown) => error instanceof ProblemError && error.code === code
const addRows = (...days: string[]) =>
  flow.pool.query(
    `insert into resumen_tarjeta (id, lote_id, fecha, trabajador_codigo, centro_costo)
     select row_number() over (), gen_random_uuid(), d::date, 'W', 'C' from unnest($1::text[]) d`,
    [days],
  )

describe('a metric', () => {
  test('is saved as a new version only if it differs', async () => {
    expect(await save('a', ['production'])).toEqual({ code: 'a', version: 1, changed: true })
    expect(await save('a', ['production'])).toEqual({ code: 'a', version: 1, changed: false })
    expect(await save('a', ['orders'])).toEqual({ code: 'a', version: 2, changed: true })
    expect(await needs('a')).toEqual(['orders 7', 'orders.all'])
    expect((await flow.pool.query('select from metric_versions')).rowCount).toBe(2)
  })

  test('depends on the datasets of its input metrics, also after these have changed', async () => {
    await save('a', ['production'])
    await save('b', ['a'])
    await save('c', ['b', 'dkt'], { requiredDaysOf: { production: 30 } })
    expect(await needs('c')).toEqual(['b', 'dkt 7', 'dkt.all', 'production 30'])
    expect(await levels()).toEqual({ a: 0, b: 1, c: 2 })
    await save('a', ['production', 'orders'])
    expect(await needs('c')).toEqual(['b', 'dkt 7', 'dkt.all', 'orders 7', 'production 30'])
    await save('b', ['orders'])
    expect(await levels()).toEqual({ a: 0, b: 0, c: 1 })
  })

  test('is refused with the wrong node', async () => {
    const wrong = save('a', ['production', 'unknown'])
    await expect(wrong).rejects.toMatchObject({
      code: 'invalid_metric',
      extra: { problems: [{ metric: 'a', path: 'expression.of[1].metric', code: 'unknown_metric' }] },
    })
    const shapeless = flow.inTx((tx) => saveMetric(tx, { code: 'a', expression: { type: 'magic' } }, null))
    await expect(shapeless).rejects.toSatisfy(problem('invalid_metric'))
    const days = save('a', ['production'], { requiredDaysOf: { orders: 3 } })
    await expect(days).rejects.toMatchObject({ extra: { problems: [{ path: 'requiredDaysOf.orders' }] } })
    expect(await listMetrics(flow.db)).toEqual([])
  })

  test('that other metrics need is checked together with them', async () => {
    await save('a', ['orders'])
    await save('b', ['a'])
    await expect(save('a', ['orders'], { grain: 'company' })).rejects.toMatchObject({
      extra: { problems: [{ metric: 'b', path: 'expression.metric', code: 'grain_differs' }] },
    })
  })

  test('never depends on itself, also when two metrics are changed concurrently', async () => {
    for (let round = 0; round < 5; round++) {
      await flow.save({ a: ['production'], b: ['production'] })
      const both = await Promise.allSettled([save('a', ['b']), save('b', ['a'])])
      expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
      const refused = both.find((one) => one.status === 'rejected')
      expect(refused?.reason).toMatchObject({ extra: { problems: [{ code: 'cycle' }, { code: 'cycle' }] } })
    }
  })

  test('whose expression changes is recomputed for all days of its datasets', async () => {
    await addRows('2026-01-05', '2026-02-10')
    await save('a', ['dkt'])
    const first = await flow.open('a')
    expect(first).toMatchObject({
      status: 'REQUESTED',
      cause: 'definition',
      days: '{[2026-01-05,2026-02-11)}',
    })
    await flow.begin(first.id)
    await save('a', ['dkt', 'production'])
    expect(await flow.open('a')).toMatchObject({ id: first.id, metric_version: 1, next_days: first.days })
    await flow.finish(first.id)
    expect(await flow.open('a')).toMatchObject({ status: 'REQUESTED', metric_version: 2, days: first.days })
    await flow.work()
    await save('a', ['dkt', 'production'], { description: 'only other words' })
    expect(await flow.work()).toEqual([])
  })

  test('is retired only if no metric needs it; it then has no runs and can be saved again', async () => {
    await flow.save({ a: ['production'], b: ['a'] })
    await flow.update('production')
    const retire = (code: string) => flow.inTx((tx) => retireMetric(tx, code, null))
    await expect(retire('a')).rejects.toMatchObject({ code: 'metric_in_use', extra: { metrics: ['b'] } })
    await retire('b')
    await retire('a')
    expect(await flow.runs('a')).toMatchObject([{ status: 'CANCELLED' }])
    await flow.update('production')
    expect(await flow.runs('a')).toHaveLength(1)
    await expect(readMetric(flow.db, 'a')).rejects.toSatisfy(problem('unknown_metric'))
    await expect(save('b', ['a'])).rejects.toSatisfy(problem('invalid_metric'))
    expect(await save('a', ['production'])).toMatchObject({ version: 2, changed: true })
    expect(await readMetric(flow.db, 'a')).toMatchObject({ version: 2 })
  })
})

test('a series keeps its dataset and column while a metric uses it', async () => {
  await save('a', ['production'])
  const move = (dataset: string, column: string | null) =>
    flow.inTx((tx) =>
      saveSeries(tx, { code: 'production.all', title: { en: 'x', es: 'x' }, dataset, column }, null),
    )
  await move('production', null)
  await expect(move('production', 'cantidad')).rejects.toSatisfy(problem('metric_in_use'))
  await expect(move('production', 'nothing')).rejects.toSatisfy(problem('bad_request'))
  await expect(move('unknown', null)).rejects.toSatisfy(problem('unknown_dataset'))
})

describe('the shipped metrics', () => {
  test('are registered once by processes that start concurrently', async () => {
    await Promise.all(Array.from({ length: 3 }, () => registerShippedMetrics(flow.db)))
    const all = await listMetrics(flow.db)
    expect(all.length).toBe(SHIPPED_METRICS.length)
    expect(all.length).toBeGreaterThanOrEqual(20)
    expect(all.every(({ version }) => version === 1)).toBe(true)
    expect(Math.max(...Object.values(await levels()).map(Number))).toBe(2)
  })

  test('stay as a user has changed or retired them', async () => {
    await registerShippedMetrics(flow.db)
    const user = await flow.db
      .insertInto('users')
      .values({ email: 'a@b.c', password_hash: 'x', role: 'admin', tenant: 'default' })
      .returning('id')
      .executeTakeFirstOrThrow()
    const { definition: pieces } = await readMetric(flow.db, 'production.pieces')
    await flow.inTx((tx) => saveMetric(tx, { ...pieces, description: 'ours' }, user.id))
    await flow.inTx((tx) => retireMetric(tx, 'orders.largest_order', user.id))
    await registerShippedMetrics(flow.db)
    expect(await readMetric(flow.db, 'production.pieces')).toMatchObject({ version: 2 })
    await expect(readMetric(flow.db, 'orders.largest_order')).rejects.toSatisfy(problem('unknown_metric'))
  })
})
