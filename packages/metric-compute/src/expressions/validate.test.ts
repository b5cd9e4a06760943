import type { Expression } from '@aduana/contracts/metrics/expression'
import { production } from '@aduana/datasets/shipped/production'
import { describe, expect, test } from 'vitest'
import type { SeriesPlace } from '../series-place.ts'
import { metric, PLACES } from '../testing/sales.ts'
import { parseDefinition, validateExpression } from './validate.ts'

const series = new Map<string, SeriesPlace>([
  ...PLACES,
  [
    'production.units',
    { code: 'production.units', datasetId: 'production', definition: production, column: 'cantidad' },
  ],
  [
    'timeless.n',
    {
      code: 'timeless.n',
      datasetId: 'timeless',
      definition: { ...production, code: 'timeless', windowColumn: undefined },
      column: 'cantidad',
    },
  ],
])
const amount: Expression = { type: 'aggregate', op: 'sum', series: 'sales.amount' }
const known = {
  series,
  metrics: new Map(
    [
      metric({ code: 'orders_total', expression: amount }),
      metric({ code: 'by_company', grain: 'company', expression: amount }),
      metric({ code: 'needs_new', expression: { type: 'metric', metric: 'through' } }),
      metric({ code: 'through', expression: { type: 'metric', metric: 'new' } }),
    ].map((definition) => [definition.code, definition]),
  ),
}

function problemsOf(expression: Expression, grain: 'total' | 'company' = 'total') {
  return validateExpression(metric({ code: 'new', grain, expression }), known)
}
const found = (expression: Expression, grain?: 'company') =>
  problemsOf(expression, grain).map(({ code, path }) => `${code} at ${path}`)

const aggregate = (more: Partial<Extract<Expression, { type: 'aggregate' }>>): Expression => ({
  type: 'aggregate',
  op: 'sum',
  series: 'sales.amount',
  ...more,
})
const add = (...of: Expression[]): Expression => ({ type: 'arithmetic', op: 'add', of })

describe('validation names the wrong node', () => {
  test.each<[string, Expression, string[]]>([
    [
      'a series that does not exist',
      add(amount, aggregate({ series: 'sales.amuont' })),
      ['unknown_series at expression.of[1].series'],
    ],
    [
      'a metric that does not exist',
      { type: 'metric', metric: 'order_total' },
      ['unknown_metric at expression.metric'],
    ],
    [
      'the sum of texts',
      add(amount, aggregate({ series: 'sales.kind' })),
      ['type_clash at expression.of[1].op'],
    ],
    [
      'numbers compared with a text',
      aggregate({
        where: {
          op: 'any',
          of: [
            { op: 'present', series: 'sales.kind' },
            { op: '=', series: 'sales.units', value: 'two' },
          ],
        },
      }),
      ['type_clash at expression.where.of[1].value'],
    ],
    [
      'a day that does not exist',
      aggregate({ where: { op: 'in', series: 'sales.day', values: ['2026-01-31', '2026-02-30'] } }),
      ['type_clash at expression.where.values[1]'],
    ],
    [
      'an order of truth values',
      aggregate({ where: { op: '<', series: 'sales.paid', value: true } }),
      ['type_clash at expression.where.value'],
    ],
    [
      'rows that are ordered by texts',
      aggregate({ op: 'last', by: 'sales.kind' }),
      ['type_clash at expression.by'],
    ],
    [
      'a percentile that is not said',
      aggregate({ op: 'percentile' }),
      ['percentile_missing at expression.percentile'],
    ],
    ['a percentile of a sum', aggregate({ percentile: 0.5 }), ['option_not_used at expression.percentile']],
    ['an order for a sum', aggregate({ by: 'sales.rank' }), ['option_not_used at expression.by']],
    ['the sum of rows', aggregate({ series: 'sales.rows' }), ['row_series at expression.op']],
    [
      'a condition on the row',
      aggregate({ where: { op: 'present', series: 'sales.rows' } }),
      ['row_series at expression.where.series'],
    ],
    [
      'a condition on another dataset',
      aggregate({ where: { op: 'not', of: { op: '>', series: 'visits.minutes', value: 1 } } }),
      ['other_dataset at expression.where.of.series'],
    ],
    [
      'a filter on another dataset',
      {
        type: 'filter',
        of: add(amount, aggregate({ series: 'visits.minutes' })),
        where: { op: 'present', series: 'sales.kind' },
      },
      ['other_dataset at expression.where.series'],
    ],
    [
      'an order of another dataset',
      aggregate({ op: 'first', by: 'visits.at' }),
      ['other_dataset at expression.by'],
    ],
    [
      'a filter of a metric',
      {
        type: 'filter',
        of: add(amount, { type: 'metric', metric: 'orders_total' }),
        where: { op: 'present', series: 'sales.kind' },
      },
      ['filter_of_metric at expression.of.of[1]'],
    ],
    [
      'more days than the window has',
      {
        type: 'ratio',
        of: amount,
        by: { type: 'rolling', op: 'avg', of: amount, days: 7, minDays: 8 },
        onZero: 'missing',
        times: 1,
      },
      ['more_days_than_window at expression.by.minDays'],
    ],
    [
      'constants only',
      add({ type: 'constant', value: 1 }, { type: 'constant', value: 2 }),
      ['no_input at expression'],
    ],
    [
      'a window over constants only',
      add(amount, { type: 'cumulative', op: 'sum', of: { type: 'constant', value: 2 }, reset: 'year' }),
      ['no_input at expression.of[1]'],
    ],
    ['a dataset without days', aggregate({ series: 'timeless.n' }), ['no_days at expression.series']],
    [
      'a metric of another grain',
      add(amount, { type: 'metric', metric: 'by_company' }),
      ['grain_differs at expression.of[1].metric'],
    ],
    ['a circle', add(amount, { type: 'metric', metric: 'needs_new' }), ['cycle at expression.of[1].metric']],
    ['itself', { type: 'metric', metric: 'new' }, ['cycle at expression.metric']],
    [
      'several things, all of them',
      add(aggregate({ series: 'nothing' }), aggregate({ series: 'sales.kind', percentile: 1 })),
      [
        'unknown_series at expression.of[0].series',
        'type_clash at expression.of[1].op',
        'option_not_used at expression.of[1].percentile',
      ],
    ],
  ])('%s', (_, expression, wanted) => {
    expect(found(expression)).toEqual(wanted)
  })

  test('a grain that the dataset does not have', () => {
    expect(found(aggregate({ series: 'production.units' }), 'company')).toEqual([
      'grain_impossible at expression.series',
    ])
  })

  test('more nodes than 200, and more than 30 levels', () => {
    const wide = add(...Array.from({ length: 50 }, () => add(amount, amount, amount, amount)))
    expect(found(wide)).toEqual(['too_large at expression'])
    let deep: Expression = metric({ code: 'deep', expression: amount }).expression
    for (let level = 0; level < 31; level += 1)
      deep = { type: 'growth', of: deep, days: 1, as: 'percent', onZero: 'zero' }
    expect(found(deep)).toEqual([`too_deep at expression${'.of'.repeat(31)}`])
  })

  test('a cycle, and names that are similar to an unknown one', () => {
    expect(problemsOf({ type: 'metric', metric: 'needs_new' })[0]?.message).toBe(
      'The metric depends on itself: new → needs_new → through → new.',
    )
    expect(problemsOf({ type: 'metric', metric: 'order_total' })[0]?.message).toContain('"orders_total"')
    expect(problemsOf(aggregate({ series: 'sales.amuont' }))[0]?.message).toContain('"sales.amount"')
  })
})

describe('the structure of a definition', () => {
  const title = { en: 'New', es: 'Nueva' }
  const structure = (expression: unknown) => {
    const parsed = parseDefinition({ code: 'new', title, expression })
    return 'problems' in parsed ? parsed.problems.map(({ code, path }) => `${code} at ${path}`) : []
  }

  test('is reported with the path of each wrong part', () => {
    expect(structure({ type: 'arithmetic', op: 'add', of: [amount, { type: 'sum' }] })).toEqual([
      'invalid at expression.of[1].type',
    ])
    expect(
      structure(aggregate({})) // a good one
        .concat(structure({ ...amount, where: { op: 'all', of: [{ op: '~', series: 'sales.kind' }] } })),
    ).toEqual(['invalid at expression.where.of[0].op'])
    expect(structure({ type: 'rolling', op: 'sum', of: { type: 'constant' }, days: 1 })).toEqual([
      'invalid at expression.of.value',
      'invalid at expression.days',
    ])
  })

  test('that is nested too deeply is refused without a crash', () => {
    let deep: unknown = amount
    for (let level = 0; level < 5000; level += 1) deep = { type: 'fallback', of: deep, otherwise: amount }
    expect(structure(deep)).toEqual(['too_deep at expression'])
  })
})
