import { addDays, type Day, daysBetween } from '@aduana/contracts/dates'
import type { Grain, MetricDefinition } from '@aduana/contracts/metrics/definition'
import type { Expression, OnZero, RowCondition } from '@aduana/contracts/metrics/expression'
import type { OracleRow } from './oracle.ts'
import { metric } from './sales.ts'

/** A random generator with a seed. */
export interface Random {
  /** A whole number from 0, below `limit`. */
  below(limit: number): number
  one<T>(items: readonly T[]): T
  chance(share: number): boolean
}

/** Returns a random generator with a seed. */
export function randomOf(seed: number): Random {
  let state = (seed * 2_654_435_761) >>> 0 || 1
  const below = (limit: number): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state % limit
  }
  return {
    below,
    one: (items) => {
      const item = items[below(items.length)]
      if (item === undefined) throw new Error('nothing to choose from')
      return item
    },
    chance: (share) => below(1000) < share * 1000,
  }
}

const NUMBERS = { sales: ['sales.amount', 'sales.units', 'sales.rank'], visits: ['visits.minutes'] }
const ANY = {
  sales: [...NUMBERS.sales, 'sales.kind', 'sales.product', 'sales.paid', 'sales.shift', 'sales.channel'],
  visits: [...NUMBERS.visits, 'visits.visitor', 'visits.at'],
}
type Dataset = keyof typeof ANY
const ZERO: readonly OnZero[] = ['missing', 'zero', { value: -7.5 }]
const COMPARISONS = ['=', '!=', '<', '<=', '>', '>='] as const

function randomWhere(random: Random, dataset: Dataset, depth = 2): RowCondition {
  if (depth > 0 && random.chance(0.35)) {
    const inner = () => randomWhere(random, dataset, depth - 1)
    return random.chance(0.3)
      ? { op: 'not', of: inner() }
      : { op: random.one(['all', 'any'] as const), of: [inner(), inner()] }
  }
  if (random.chance(0.15)) return { op: 'present', series: random.one(ANY[dataset]) }
  const op = random.one(COMPARISONS)
  if (dataset === 'visits') {
    if (random.chance(0.3))
      return { op, series: 'visits.at', value: `2026-01-0${1 + random.below(9)}T12:00:00` }
    return { op, series: 'visits.minutes', value: random.below(20) }
  }
  const products = () => `P${1 + random.below(6)}`
  return random.one<() => RowCondition>([
    () => ({ op, series: 'sales.units', value: random.below(10) - 0.5 * random.below(2) }),
    () => ({ op, series: 'sales.amount', value: random.below(500) / 10 }),
    () => ({ op, series: 'sales.kind', value: random.one(['a', 'B', 'ñ', 'zz']) }),
    () => ({ op: 'in', series: 'sales.kind', values: ['a', 'ñ'] }),
    () => ({ op, series: 'sales.shift', value: 1 + random.below(3) }),
    () => ({ op: random.one(['=', '!='] as const), series: 'sales.paid', value: random.chance(0.5) }),
    () => ({ op, series: 'sales.channel', value: random.one(['web', 'shop']) }),
    () => ({ op, series: 'sales.product', value: products() }),
    () => ({ op: 'in', series: 'sales.product', values: [products(), products()] }),
  ])()
}

function randomAggregate(random: Random, dataset: Dataset): Expression {
  const op = random.one([
    'sum',
    'count',
    'avg',
    'min',
    'max',
    'distinct',
    'percentile',
    'first',
    'last',
  ] as const)
  const where = random.chance(0.5) ? randomWhere(random, dataset) : undefined
  const number = random.one(NUMBERS[dataset])
  if (op === 'count')
    return {
      type: 'aggregate',
      op,
      series: random.chance(0.5) ? `${dataset}.rows` : random.one(ANY[dataset]),
      where,
    }
  if (op === 'distinct') return { type: 'aggregate', op, series: random.one(ANY[dataset]), where }
  if (op === 'percentile')
    return {
      type: 'aggregate',
      op,
      series: number,
      percentile: random.one([0, 0.1, 0.25, 0.5, 0.9, 1]),
      where,
    }
  const by = random.chance(0.3)
    ? undefined
    : random.one([number, dataset === 'sales' ? 'sales.rank' : 'visits.at'])
  return op === 'first' || op === 'last'
    ? { type: 'aggregate', op, series: number, by, where }
    : { type: 'aggregate', op, series: number, where }
}

/** Returns a valid expression over the two datasets and the named metrics; of one `dataset` within a filter. */
function randomExpression(
  random: Random,
  depth: number,
  metrics: readonly string[],
  dataset?: Dataset,
): Expression {
  const leaf = (): Expression =>
    metrics.length > 0 && dataset === undefined && random.chance(0.2)
      ? { type: 'metric', metric: random.one(metrics) }
      : randomAggregate(random, dataset ?? random.one(['sales', 'visits'] as const))
  if (depth === 0) return leaf()
  const child = () => randomExpression(random, depth - 1, metrics, dataset)
  const side = (): Expression =>
    random.chance(0.3) ? { type: 'constant', value: (random.below(200) - 50) / 10 } : child()
  return random.one<() => Expression>([
    leaf,
    () => ({
      type: 'arithmetic',
      op: random.one(['add', 'subtract', 'multiply'] as const),
      of: [child(), side(), ...(random.chance(0.2) ? [side()] : [])],
    }),
    () => ({
      type: 'ratio',
      of: child(),
      by: side(),
      onZero: random.one(ZERO),
      times: random.one([1, 100, 0.25]),
    }),
    () => {
      const days = 2 + random.below(9)
      return {
        type: 'rolling',
        op: random.one(['sum', 'avg', 'min', 'max', 'count'] as const),
        of: child(),
        days,
        minDays: 1 + random.below(Math.min(days, 4)),
      }
    },
    () => ({
      type: 'cumulative',
      op: random.one(['sum', 'min', 'max', 'count'] as const),
      of: child(),
      reset: random.one(['year', 'quarter', 'month', 'week'] as const),
    }),
    () => ({
      type: 'growth',
      of: child(),
      days: 1 + random.below(8),
      as: random.one(['difference', 'ratio', 'percent'] as const),
      onZero: random.one(ZERO),
    }),
    () => ({
      type: 'conditional',
      when: { op: random.one(COMPARISONS), left: child(), right: side() },
      value: side(),
      ...(random.chance(0.6) ? { otherwise: side() } : {}),
    }),
    () => {
      const of = dataset ?? random.one(['sales', 'visits'] as const)
      return {
        type: 'filter',
        of: randomExpression(random, depth - 1, metrics, of),
        where: randomWhere(random, of),
      }
    },
    () => ({ type: 'fallback', of: child(), otherwise: side() }),
  ])()
}

/** Returns metrics of every grain; later ones may use earlier ones of their grain. */
export function randomMetrics(random: Random, count: number): MetricDefinition[] {
  const made: MetricDefinition[] = []
  for (let index = 0; index < count; index += 1) {
    const grain = random.one(['total', 'company', 'warehouse'] as const satisfies readonly Grain[])
    const below = made.filter((other) => other.grain === grain).map(({ code }) => code)
    const expression = randomExpression(random, 1 + random.below(3), below)
    made.push(metric({ code: `m${index}`, grain, expression }))
  }
  return made
}

/** Returns a row of a dataset on a day; any cell but the scope may be empty. */
export function randomRow(random: Random, dataset: Dataset, id: number, day: Day): OracleRow {
  const maybe = <T>(value: T): T | null => (random.chance(0.2) ? null : value)
  const company = random.one(['A', 'B'])
  const base = { id, day, company, warehouse: `${company}${1 + random.below(2)}` }
  if (dataset === 'visits') {
    // Bogotá is at UTC-5: late hours of the day are on the next day in UTC.
    const at = new Date(Date.parse(`${day}T05:00:00Z`) + random.below(86_400) * 1000).toISOString()
    return {
      ...base,
      values: {
        at,
        'visits.at': at,
        'visits.minutes': maybe(random.below(20)),
        'visits.visitor': maybe(`v${random.below(6)}`),
      },
    }
  }
  return {
    ...base,
    values: {
      'sales.day': day,
      'sales.amount': maybe((random.below(60_000) / 1000 - 5).toFixed(3)),
      'sales.units': maybe(random.below(12) - 2),
      'sales.rank': maybe(random.below(4)),
      'sales.shift': maybe(1 + random.below(3)),
      'sales.kind': maybe(random.one(['a', 'B', 'b', 'ñ', 'zz'])),
      'sales.channel': maybe(random.one(['web', 'shop', 'phone'])),
      'sales.paid': maybe(random.chance(0.5)),
      'sales.product': maybe(`P${1 + random.below(5)}`),
    },
  }
}

/** Returns a day of a range. */
export function randomDay(random: Random, from: Day, to: Day): Day {
  return addDays(from, random.below(daysBetween(from, to)))
}
