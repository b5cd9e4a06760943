import type { Grain, MetricDefinitionInput } from '@aduana/contracts/metrics/definition'
import type { Expression } from '@aduana/contracts/metrics/expression'

type Aggregate = Extract<Expression, { type: 'aggregate' }>
type Rest = Partial<Pick<Aggregate, 'where' | 'percentile' | 'by'>>

/** Returns a function that declares the metrics of a tab, which begins their codes. Without a grain they are by day. */
export const declareIn =
  (tab: string, grain?: Grain) =>
  (name: string, expression: Expression, en: string, es: string, unit?: string): MetricDefinitionInput => ({
    code: `${tab}.${name}`,
    title: { en, es },
    ...(grain === undefined ? {} : { grain }),
    expression,
    tabs: [tab],
    ...(unit === undefined ? {} : { unit }),
  })

/** Returns an aggregate over a series. */
export const aggregate = (op: Aggregate['op'], series: string, rest: Rest = {}): Expression => ({
  type: 'aggregate',
  op,
  series,
  ...rest,
})

/** Returns a reference to the values of another metric. */
export const metric = (code: string): Expression => ({ type: 'metric', metric: code })

/** Returns one metric divided by another, missing where the divisor is zero. */
export const ratio = (of: string, by: string, times = 1): Expression => ({
  type: 'ratio',
  of: metric(of),
  by: metric(by),
  onZero: 'missing',
  times,
})

/** Returns a metric over the last days. */
export const rolling = (op: 'sum' | 'avg', code: string, days: number): Expression => ({
  type: 'rolling',
  op,
  of: metric(code),
  days,
  minDays: 1,
})

/** Returns the sum of a metric since the first day of the month or year. */
export const sumSince = (reset: 'month' | 'year', code: string): Expression => ({
  type: 'cumulative',
  op: 'sum',
  of: metric(code),
  reset,
})

/** Returns the growth of a metric over a number of days, in percent. */
export const growth = (code: string, days: number): Expression => ({
  type: 'growth',
  of: metric(code),
  days,
  as: 'percent',
  onZero: 'missing',
})

/** Returns a metric, or 0 on days on which its dataset has rows but the metric has no value. */
export const orZero = (code: string): Expression => ({
  type: 'fallback',
  of: metric(code),
  otherwise: { type: 'constant', value: 0 },
})
