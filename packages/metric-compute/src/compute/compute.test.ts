import type { Expression } from '@aduana/contracts/metrics/expression'
import { interruptible } from '@aduana/db/interruptible'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { OracleRow } from '../testing/oracle.ts'
import { metric, openSales, PLACES, type SalesDatabase } from '../testing/sales.ts'
import { computeMetrics } from './compute.ts'

let db: SalesDatabase
beforeAll(async () => {
  db = await openSales()
})
afterAll(() => db.database.drop())

const RANGE = [{ from: '2026-01-01', to: '2026-04-01' }]
let id = 0
function row(
  day: string,
  values: Record<string, string | number | boolean | null>,
  cell = 'A A1',
): OracleRow {
  const [company = '', warehouse = ''] = cell.split(' ')
  const named = Object.fromEntries(Object.entries(values).map(([name, value]) => [`sales.${name}`, value]))
  id += 1
  return { id, day, company, warehouse, values: named }
}

// 1 and 2 January, not the 3rd; on the 5th a row with nothing in it; company B on the 2nd only.
const ROWS = [
  row('2026-01-01', { amount: '10.500', units: 4, kind: 'a', shift: 1, product: 'P1', rank: 2 }),
  row('2026-01-01', { amount: '0.250', units: 0, kind: 'b', shift: 2, product: 'P2', rank: 1 }),
  row('2026-01-02', { amount: '-3.000', units: null, kind: null, shift: 1, product: 'P1', rank: 1 }),
  row('2026-01-02', { amount: '7.000', units: 2, kind: 'a', shift: 3, product: 'P3', rank: 9 }, 'B B1'),
  row('2026-01-05', {}),
  row('2026-01-08', { amount: '1.000', units: 3, kind: 'a', shift: 1, product: 'P1', rank: 1 }),
]

beforeEach(async () => {
  await db.database.pool.query('truncate test_sales, test_visits, daily_metrics')
  await db.insert('sales', ROWS)
})

async function valuesOf(expression: Expression, grain: 'total' | 'company' | 'warehouse' = 'total') {
  await db.compute([metric({ code: 'm', grain, expression })], RANGE)
  const { rows } = await db.database.pool.query<{ at: string; value: string }>(
    `select concat_ws(' ', to_char(date, 'DD'), company, warehouse) as at, value from daily_metrics order by date, company, warehouse`,
  )
  return Object.fromEntries(rows.map(({ at, value }) => [at, value]))
}

const of = (op: Extract<Expression, { type: 'aggregate' }>['op'], name: string, more = {}): Expression => ({
  type: 'aggregate',
  op,
  series: `sales.${name}`,
  ...more,
})
const amount = of('sum', 'amount')
const one: Expression = { type: 'constant', value: 1 }
const distinctInShift = (shift: number) =>
  of('distinct', 'product', { where: { op: '=', series: 'sales.shift', value: shift } })
/** Members of the dimension that the data have, and others. */
const MANY = ['P1', 'P2', 'P3', 'P4', 'P5', 'P10', 'P11', 'P12', 'P13', 'P14', 'P15', 'P16']

describe('values in hand-computed examples', () => {
  test.each<[string, Expression, Record<string, string>]>([
    ['sum', amount, { '01': '10.75', '02': '4', '08': '1' }],
    ['count of rows', of('count', 'rows'), { '01': '2', '02': '2', '05': '1', '08': '1' }],
    ['count of what is not empty', of('count', 'kind'), { '01': '2', '02': '1', '05': '0', '08': '1' }],
    ['avg', of('avg', 'units'), { '01': '2', '02': '2', '08': '3' }],
    ['min', of('min', 'amount'), { '01': '0.25', '02': '-3', '08': '1' }],
    ['max', of('max', 'amount'), { '01': '10.5', '02': '7', '08': '1' }],
    [
      'distinct members of a dimension',
      of('distinct', 'product'),
      { '01': '2', '02': '2', '05': '0', '08': '1' },
    ],
    [
      'percentile',
      of('percentile', 'amount', { percentile: 0.25 }),
      { '01': '2.8125', '02': '-0.5', '08': '1' },
    ],
    ['first', of('first', 'amount', { by: 'sales.rank' }), { '01': '0.25', '02': '-3', '08': '1' }],
    ['last', of('last', 'amount'), { '01': '0.25', '02': '7', '08': '1' }],
    [
      'a condition',
      of('sum', 'amount', { where: { op: '=', series: 'sales.product', value: 'P1' } }),
      { '01': '10.5', '02': '-3', '08': '1' },
    ],
    [
      'a condition that nothing meets',
      of('count', 'rows', { where: { op: '=', series: 'sales.product', value: 'P9' } }),
      { '01': '0', '02': '0', '05': '0', '08': '0' },
    ],
    [
      'what is not a member',
      of('count', 'rows', { where: { op: '!=', series: 'sales.product', value: 'P9' } }),
      { '01': '2', '02': '2', '05': '0', '08': '1' },
    ],
    [
      'a condition that names many values',
      of('sum', 'amount', { where: { op: 'in', series: 'sales.kind', values: [...'abcdefghij'] } }),
      { '01': '10.75', '02': '7', '08': '1' },
    ],
    [
      'a condition that excludes one of many members',
      of('count', 'rows', {
        where: {
          op: 'all',
          of: [
            { op: 'in', series: 'sales.product', values: MANY },
            { op: '!=', series: 'sales.product', value: 'P1' },
          ],
        },
      }),
      { '01': '1', '02': '1', '05': '0', '08': '0' },
    ],
    [
      'distinct members of several equalities',
      {
        type: 'arithmetic',
        op: 'add',
        of: [
          distinctInShift(1),
          { type: 'arithmetic', op: 'multiply', of: [distinctInShift(3), { type: 'constant', value: 10 }] },
        ],
      },
      { '01': '1', '02': '11', '05': '0', '08': '1' },
    ],
    [
      'a percentile where two columns are equal to something',
      of('percentile', 'amount', {
        percentile: 0.5,
        where: {
          op: 'all',
          of: [
            { op: '=', series: 'sales.kind', value: 'a' },
            { op: '=', series: 'sales.product', value: 'P1' },
          ],
        },
      }),
      { '01': '10.5', '08': '1' },
    ],
    [
      'distinct values where a member is unknown',
      of('distinct', 'kind', { where: { op: '=', series: 'sales.product', value: 'P9' } }),
      { '01': '0', '02': '0', '05': '0', '08': '0' },
    ],
    [
      'arithmetic',
      { type: 'arithmetic', op: 'subtract', of: [amount, of('count', 'rows')] },
      { '01': '8.75', '02': '2', '08': '0' },
    ],
    [
      'a ratio, where zero is missing',
      { type: 'ratio', of: amount, by: of('min', 'units'), onZero: 'missing', times: 1 },
      { '02': '2', '08': '0.3333333333333333' },
    ],
    [
      'a ratio, where zero is a number',
      { type: 'ratio', of: amount, by: of('min', 'units'), onZero: { value: -1 }, times: 100 },
      { '01': '-1', '02': '200', '08': '33.3333333333333333' },
    ],
    [
      'a rolling sum',
      { type: 'rolling', op: 'sum', of: amount, days: 4, minDays: 1 },
      { '01': '10.75', '02': '14.75', '05': '4', '08': '1' },
    ],
    [
      'a rolling average of at least two days',
      { type: 'rolling', op: 'avg', of: amount, days: 4, minDays: 2 },
      { '02': '7.375' },
    ],
    [
      'the week so far',
      { type: 'cumulative', op: 'sum', of: amount, reset: 'week' },
      { '01': '10.75', '02': '14.75', '08': '1' },
    ],
    [
      'growth',
      { type: 'growth', of: amount, days: 1, as: 'percent', onZero: 'zero' },
      { '02': '-62.7906976744186047' },
    ],
    [
      'growth over a day without rows',
      {
        type: 'growth',
        of: { type: 'fallback', of: amount, otherwise: one },
        days: 3,
        as: 'difference',
        onZero: 'zero',
      },
      { '01': '9.75', '02': '3', '05': '-3', '08': '0' },
    ],
    [
      'a comparison',
      {
        type: 'conditional',
        when: { op: '>', left: amount, right: { type: 'constant', value: 3 } },
        value: one,
        otherwise: { type: 'constant', value: 0 },
      },
      { '01': '1', '02': '1', '08': '0' },
    ],
    [
      'a comparison without otherwise',
      {
        type: 'conditional',
        when: { op: '>', left: amount, right: { type: 'constant', value: 3 } },
        value: one,
      },
      { '01': '1', '02': '1' },
    ],
    [
      'a filter over aggregates',
      {
        type: 'filter',
        of: { type: 'ratio', of: amount, by: of('count', 'rows'), onZero: 'missing', times: 1 },
        where: { op: '=', series: 'sales.shift', value: 1 },
      },
      { '01': '10.5', '02': '-3', '08': '1' },
    ],
    [
      'a fallback',
      { type: 'fallback', of: amount, otherwise: { type: 'constant', value: 0 } },
      { '01': '10.75', '02': '4', '05': '0', '08': '1' },
    ],
  ])('%s', async (_, expression, wanted) => {
    expect(await valuesOf(expression)).toEqual(wanted)
  })

  test('by company and by warehouse', async () => {
    expect(await valuesOf(amount, 'company')).toEqual({
      '01 A': '10.75',
      '02 A': '-3',
      '02 B': '7',
      '08 A': '1',
    })
    expect(await valuesOf(amount, 'warehouse')).toEqual({
      '01 A A1': '10.75',
      '02 A A1': '-3',
      '02 B B1': '7',
      '08 A A1': '1',
    })
    const rolled: Expression = { type: 'rolling', op: 'sum', of: amount, days: 4, minDays: 1 }
    expect(await valuesOf(rolled, 'company')).toEqual({
      '01 A': '10.75',
      '02 A': '7.75',
      '02 B': '7',
      '05 A': '-3',
      '05 B': '7',
      '08 A': '1',
    })
  })

  test('of distinct values and percentiles by company and by warehouse', async () => {
    const shift = { where: { op: '=', series: 'sales.shift', value: 1 } }
    const median = of('percentile', 'amount', { percentile: 0.5, ...shift })
    expect(await valuesOf(median, 'company')).toEqual({ '01 A': '10.5', '02 A': '-3', '08 A': '1' })
    expect(await valuesOf(of('distinct', 'product', shift), 'warehouse')).toEqual({
      '01 A A1': '1',
      '02 A A1': '1',
      '02 B B1': '0',
      '05 A A1': '0',
      '08 A A1': '1',
    })
  })

  test('count a row once where a condition names its moment twice', async () => {
    const at = '2026-01-02T15:00:00.000Z'
    await db.insert('visits', [
      { id: 1, day: '2026-01-02', company: 'A', warehouse: 'A1', values: { at, 'visits.minutes': 5 } },
    ])
    const others = Array.from({ length: 9 }, (_, hour) => `2026-01-03T0${hour}:00:00Z`)
    const values = ['2026-01-02T15:00:00Z', '2026-01-02T10:00:00-05:00', ...others]
    const where = { op: 'in', series: 'visits.at', values } as const
    expect(await valuesOf({ type: 'aggregate', op: 'sum', series: 'visits.minutes', where })).toEqual({
      '02': '5',
    })
  })

  test('are stored with the companies and warehouses that they sum, so that users with access to only some of them do not see them', async () => {
    const flags = async () =>
      (
        await db.database.pool.query(
          'select distinct sums_companies as c, sums_warehouses as w from daily_metrics',
        )
      ).rows
    await valuesOf(amount)
    expect(await flags()).toEqual([{ c: true, w: true }])
    await valuesOf(amount, 'company')
    expect(await flags()).toEqual([{ c: false, w: true }])
    await valuesOf(amount, 'warehouse')
    expect(await flags()).toEqual([{ c: false, w: false }])
    const above = metric({ code: 'above', expression: { type: 'metric', metric: 'm' } })
    await db.compute([metric({ code: 'm', expression: amount }), above], RANGE)
    expect(
      (
        await db.database.pool.query(
          `select distinct sums_companies from daily_metrics where metric_name = 'above'`,
        )
      ).rows,
    ).toEqual([{ sums_companies: true }])
  })

  test('are marked again when their dataset gains or loses its scope, even if they do not change', async () => {
    const { pool } = db.database
    const flags = async () =>
      (await pool.query('select distinct sums_companies as c, sums_warehouses as w from daily_metrics')).rows
    const place = PLACES.get('sales.amount')
    if (!place) throw new Error('there is no such series')
    const { scope: _, ...open } = place.definition
    const compute = (series: typeof PLACES) =>
      db.compute([metric({ code: 'm', expression: amount })], RANGE, undefined, {}, series)
    await valuesOf(amount)
    await compute(new Map([...PLACES, ['sales.amount', { ...place, definition: open }]]))
    expect(await flags()).toEqual([{ c: false, w: false }])
    await compute(PLACES)
    expect(await flags()).toEqual([{ c: true, w: true }])
  })
})

describe('a computation', () => {
  test('leaves equal values unchanged, and returns the days that it changed', async () => {
    const sum = metric({ code: 'm', expression: amount })
    await db.compute([sum], RANGE)
    const before = await db.database.pool.query('select * from daily_metrics order by date')
    expect((await db.compute([sum], RANGE)).get('m')).toMatchObject({ rows: 0, removed: 0, days: [] })
    expect((await db.database.pool.query('select * from daily_metrics order by date')).rows).toEqual(
      before.rows,
    )
    await db.remove(
      'sales',
      ROWS.filter(({ day }) => day === '2026-01-02').map((each) => each.id),
    )
    await db.insert('sales', [row('2026-01-03', { amount: '2.000' }), row('2026-01-04', { amount: '2.000' })])
    expect((await db.compute([sum], RANGE)).get('m')).toMatchObject({
      rows: 2,
      removed: 1,
      days: [{ from: '2026-01-02', to: '2026-01-05' }],
    })
  })

  test('writes only the changed days and their reach', async () => {
    const sum = metric({ code: 'm', expression: amount })
    const results = await db.compute([sum], [{ from: '2026-01-02', to: '2026-01-03' }])
    expect(results.get('m')).toMatchObject({ rows: 1, days: [{ from: '2026-01-02', to: '2026-01-03' }] })
  })

  test('of metrics in any order uses the new values of their input metrics', async () => {
    const metrics = [
      metric({
        code: 'top',
        expression: {
          type: 'growth',
          of: { type: 'metric', metric: 'middle' },
          days: 1,
          as: 'difference',
          onZero: 'zero',
        },
      }),
      metric({
        code: 'middle',
        expression: {
          type: 'rolling',
          op: 'sum',
          of: { type: 'metric', metric: 'base' },
          days: 2,
          minDays: 1,
        },
      }),
      metric({ code: 'base', expression: amount }),
    ]
    await db.compute(metrics, [{ from: '2026-01-01', to: '2026-01-03' }])
    const { rows } = await db.database.pool.query(
      `select date, value from daily_metrics where metric_name = 'top'`,
    )
    expect(rows).toEqual([{ date: '2026-01-02', value: '4' }])
  })

  test('waits for a concurrent one of the same metric and then reads the newer rows', async () => {
    const sum = metric({ code: 'm', expression: amount })
    const first = await db.database.pool.connect()
    await first.query('begin')
    await computeMetrics(first, { runs: [run('00000000-0000-0000-0000-000000000001')], series: PLACES })
    await db.insert('sales', [row('2026-01-20', { amount: '5.000' })])
    const second = db.compute([sum], RANGE)
    await until(async () => (await waiting()) > 0, { within: 60_000, what: 'the second computation waits' })
    await first.query('rollback')
    first.release()
    expect((await second).get('m')?.rows).toBe(4)

    function run(runId: string) {
      return {
        runId,
        definition: metric({
          code: 'm',
          expression: of('count', 'rows', { where: { op: '>', series: 'sales.amount', value: 1e9 } }),
        }),
        days: [],
        companies: null,
        warehouses: null,
      }
    }
    async function waiting(): Promise<number> {
      const { rows } = await db.database.pool.query<{ n: number }>(
        `select count(*)::integer as n from pg_locks l join pg_database d on d.oid = l.database where d.datname = current_database() and locktype = 'advisory' and not granted`,
      )
      return rows[0]?.n ?? 0
    }
  })

  test('that is cancelled stops during a statement and changes nothing', async () => {
    await db.database.pool.query(
      `create or replace view slow_sales as select s.* from test_sales s, lateral (select pg_sleep(600) where s.id > 0) z`,
    )
    const slow = new Map(
      [...PLACES].map(([code, place]) => [
        code,
        { ...place, definition: { ...place.definition, table: { schema: 'public', name: 'slow_sales' } } },
      ]),
    )
    const client = await db.database.pool.connect()
    const stop = new AbortController()
    await client.query('begin')
    const work = interruptible(
      client,
      { pool: db.database.pool, signal: stop.signal, logger: { warn: () => undefined } },
      () =>
        computeMetrics(
          client,
          {
            runs: [
              {
                runId: '00000000-0000-0000-0000-000000000001',
                definition: metric({ code: 'm', expression: amount }),
                days: RANGE,
                companies: null,
                warehouses: null,
              },
            ],
            series: slow,
          },
          { signal: stop.signal },
        ),
    )
    const ended = expect(work).rejects.toMatchObject({ code: '57014' })
    await until(
      async () =>
        (
          await db.database.pool.query(
            `select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'`,
          )
        ).rowCount === 1,
      { within: 60_000, what: 'the computation reads' },
    )
    stop.abort()
    await ended
    await client.query('rollback')
    client.release()
  })
})

test('a value that JSON numbers cannot represent is refused with its day and metric, and no value is written', async () => {
  const huge = (value: number): Expression => ({
    type: 'arithmetic',
    op: 'multiply',
    of: [of('sum', 'units'), { type: 'constant', value }, { type: 'constant', value: 1e200 }],
  })
  await expect(valuesOf(huge(1e200), 'company')).rejects.toThrow(
    'The value of m on 2026-01-01 for A has 401 digits before the point; values may be at most 1e300.',
  )
  const { rows } = await db.database.pool.query('select from daily_metrics')
  expect(rows).toEqual([])
  expect(Number((await valuesOf(huge(1e99)))['01'])).toBe(4e299)
})
