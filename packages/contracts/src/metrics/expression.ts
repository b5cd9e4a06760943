import { z } from 'zod'

/** Code of a metric or a series: lower-case words; a dot may separate the dataset from the measure. */
export const MetricCode = z
  .string()
  .max(100)
  .regex(
    /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$/,
    'must be lower-case letters, digits, _ and dots between words',
  )

const Comparison = z.enum(['=', '!=', '<', '<=', '>', '>='])
const Scalar = z.union([z.string().max(1000), z.number(), z.boolean()])

export type RowCondition =
  | { op: z.infer<typeof Comparison>; series: string; value: z.infer<typeof Scalar> }
  | { op: 'in'; series: string; values: z.infer<typeof Scalar>[] }
  | { op: 'present'; series: string }
  | { op: 'all' | 'any'; of: RowCondition[] }
  | { op: 'not'; of: RowCondition }

/**
 * A condition on one row of a dataset, over series of that dataset. A comparison with an empty cell is false. Texts are
 * compared by their bytes; a timestamp without an offset is one of the column's time zone.
 */
export const RowCondition: z.ZodType<RowCondition> = z.lazy(() =>
  z.discriminatedUnion('op', [
    z.strictObject({ op: Comparison, series: MetricCode, value: Scalar }),
    z.strictObject({ op: z.literal('in'), series: MetricCode, values: z.array(Scalar).min(1).max(1000) }),
    z.strictObject({ op: z.literal('present'), series: MetricCode }),
    z.strictObject({ op: z.enum(['all', 'any']), of: z.array(RowCondition).min(1).max(50) }),
    z.strictObject({ op: z.literal('not'), of: RowCondition }),
  ]),
)

const AGGREGATES = ['sum', 'count', 'avg', 'min', 'max', 'distinct', 'percentile', 'first', 'last'] as const
const WINDOW_OPERATIONS = ['sum', 'avg', 'min', 'max', 'count'] as const

/** The result of a division by zero: missing, zero, or another number. */
export const OnZero = z.union([z.enum(['missing', 'zero']), z.strictObject({ value: z.number() })])
export type OnZero = z.infer<typeof OnZero>

export type Expression =
  | {
      type: 'aggregate'
      op: (typeof AGGREGATES)[number]
      series: string
      where?: RowCondition | undefined
      percentile?: number | undefined
      by?: string | undefined
    }
  | { type: 'metric'; metric: string }
  | { type: 'constant'; value: number }
  | { type: 'arithmetic'; op: 'add' | 'subtract' | 'multiply'; of: Expression[] }
  | { type: 'ratio'; of: Expression; by: Expression; onZero: OnZero; times: number }
  | {
      type: 'rolling'
      op: (typeof WINDOW_OPERATIONS)[number]
      of: Expression
      days: number
      minDays: number
    }
  | {
      type: 'cumulative'
      op: 'sum' | 'min' | 'max' | 'count'
      of: Expression
      reset: 'year' | 'quarter' | 'month' | 'week'
    }
  | {
      type: 'growth'
      of: Expression
      days: number
      as: 'difference' | 'ratio' | 'percent'
      onZero: OnZero
    }
  | {
      type: 'conditional'
      when: { op: z.infer<typeof Comparison>; left: Expression; right: Expression }
      value: Expression
      otherwise?: Expression | undefined
    }
  | { type: 'filter'; of: Expression; where: RowCondition }
  | { type: 'fallback'; of: Expression; otherwise: Expression }

/** Maximum number of days that one node looks back. */
const MAX_DAYS = 400

/** Maximum number of nodes of an expression, row conditions included, and their maximum depth. */
export const MAX_NODES = 200
export const MAX_DEPTH = 30

/**
 * How a metric is computed. An expression has a value, or is *missing*, for every calendar day and every cell of the
 * metric's grain (nothing, a company, a company and warehouse; rows without a company are in no company's cell).
 *
 * | type          | value of day d                                                                 | when something is missing |
 * | ------------- | ------------------------------------------------------------------------------ | ------------------------- |
 * | `aggregate`   | `op` over the rows of d, those of `where` only; empty cells do not count       | missing on a day without any row of the dataset; with rows of which none counts `count` and `distinct` are 0, the others missing |
 * | `metric`      | the value that the other metric has for d                                      | missing where it is       |
 * | `constant`    | the number                                                                     | never missing             |
 * | `arithmetic`  | a₁ + a₂ + …, a₁ − a₂ − …, a₁ · a₂ · …                                          | missing if any is         |
 * | `ratio`       | `times` · of / by                                                              | missing if either is; `onZero` where by = 0 |
 * | `rolling`     | `op` over the values of the days d − days + 1 … d                              | they are left out; missing if fewer than `minDays` have a value |
 * | `cumulative`  | `op` over the values from the first day of the year, quarter, month or (ISO) week of d to d | they are left out; missing before the first value |
 * | `growth`      | v(d) − v(d − days), v(d) / v(d − days), 100 · (v(d) / v(d − days) − 1)         | missing if either is; `onZero` where v(d − days) = 0, and there is a division |
 * | `conditional` | `value` where the comparison holds, else `otherwise`                           | missing if a side of the comparison is, or without `otherwise` |
 * | `filter`      | `of`, all of whose aggregates see only the rows of `where`                     | as `of`                   |
 * | `fallback`    | `of`, or `otherwise` where `of` is missing                                     | missing if both are       |
 *
 * A value is stored for the days and cells in which any input has a row. `rolling` and `cumulative` are also stored for a
 * cell without a row on that day, if another cell has one, and the cell has one within the window. So a warehouse that rests
 * on a working day has its rolling sum, and days without any row have no values.
 *
 * Numbers are decimal and exact; a product, a quotient, an average and a percentile are rounded to 16 decimals, halves
 * away from zero. `first` and `last` go by the series `by` (by the day column without it), then by the order of loading.
 */
export const Expression: z.ZodType<Expression> = z.lazy(() =>
  z.discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('aggregate'),
      op: z.enum(AGGREGATES),
      series: MetricCode,
      where: RowCondition.optional(),
      /** Of `percentile`: from 0 to 1, 0.5 is the median (interpolated between neighbours). */
      percentile: z.number().min(0).max(1).optional(),
      /** Of `first` and `last`: the series that orders the rows, numbers or times. */
      by: MetricCode.optional(),
    }),
    z.strictObject({ type: z.literal('metric'), metric: MetricCode }),
    z.strictObject({ type: z.literal('constant'), value: z.number() }),
    z.strictObject({
      type: z.literal('arithmetic'),
      op: z.enum(['add', 'subtract', 'multiply']),
      of: z.array(Expression).min(2).max(50),
    }),
    z.strictObject({
      type: z.literal('ratio'),
      of: Expression,
      by: Expression,
      onZero: OnZero.default('missing'),
      times: z.number().default(1),
    }),
    z.strictObject({
      type: z.literal('rolling'),
      op: z.enum(WINDOW_OPERATIONS),
      of: Expression,
      days: z.int().min(2).max(MAX_DAYS),
      minDays: z.int().min(1).max(MAX_DAYS).default(1),
    }),
    z.strictObject({
      type: z.literal('cumulative'),
      op: z.enum(['sum', 'min', 'max', 'count']),
      of: Expression,
      reset: z.enum(['year', 'quarter', 'month', 'week']),
    }),
    z.strictObject({
      type: z.literal('growth'),
      of: Expression,
      days: z.int().min(1).max(MAX_DAYS),
      as: z.enum(['difference', 'ratio', 'percent']).default('percent'),
      onZero: OnZero.default('missing'),
    }),
    z.strictObject({
      type: z.literal('conditional'),
      when: z.strictObject({ op: Comparison, left: Expression, right: Expression }),
      value: Expression,
      otherwise: Expression.optional(),
    }),
    z.strictObject({ type: z.literal('filter'), of: Expression, where: RowCondition }),
    z.strictObject({ type: z.literal('fallback'), of: Expression, otherwise: Expression }),
  ]),
)

export type ExpressionType = Expression['type']
const EVERY_TYPE: Record<ExpressionType, true> = {
  aggregate: true,
  metric: true,
  constant: true,
  arithmetic: true,
  ratio: true,
  rolling: true,
  cumulative: true,
  growth: true,
  conditional: true,
  filter: true,
  fallback: true,
}
/** The type of every node. */
export const EXPRESSION_TYPES: readonly string[] = Object.keys(EVERY_TYPE)

export const EXPRESSION_PROBLEMS = [
  'invalid',
  'too_large',
  'too_deep',
  'unknown_series',
  'unknown_metric',
  'type_clash',
  'row_series',
  'percentile_missing',
  'option_not_used',
  'other_dataset',
  'filter_of_metric',
  'more_days_than_window',
  'no_days',
  'grain_impossible',
  'grain_differs',
  'cycle',
  'no_input',
] as const

/** A problem of a metric's definition, with its path, such as `expression.of[1].by`. */
export const ExpressionProblem = z.strictObject({
  path: z.string(),
  code: z.enum(EXPRESSION_PROBLEMS),
  message: z.string(),
})
export type ExpressionProblem = z.infer<typeof ExpressionProblem>
