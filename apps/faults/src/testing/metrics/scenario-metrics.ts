import type { MetricDefinitionInput } from '@aduana/contracts/metrics/definition'
import type { Expression } from '@aduana/contracts/metrics/expression'
import {
  aggregate,
  growth,
  metric,
  orZero,
  ratio,
  rolling,
  sumSince,
} from '@aduana/metrics/shipped/expressions'

/** A metric of the scenario. scenario.sql computes its expected values. */
export interface ScenarioMetric {
  definition: MetricDefinitionInput
  /** The datasets that it depends on, directly or through other metrics. */
  over: readonly string[]
}

type Rest = Partial<Pick<MetricDefinitionInput, 'grain' | 'requiredDays'>>

const over =
  (...datasets: string[]) =>
  (code: string, expression: Expression, rest: Rest = {}): ScenarioMetric => ({
    definition: { code, title: { en: code, es: code }, expression, ...rest },
    over: datasets,
  })

const plant = over('production')
const sales = over('orders')
const time = over('dkt')
const hours = over('dkt', 'production')
const items = over('orders', 'production')
const all = over('dkt', 'orders', 'production')

const constant = (value: number): Expression => ({ type: 'constant', value })
const orNoHours = (series: string): Expression => ({
  type: 'fallback',
  of: aggregate('sum', series),
  otherwise: constant(0),
})
const BY_COMPANY = { grain: 'company' } as const
const BY_WAREHOUSE = { grain: 'warehouse' } as const
const WITHIN_2 = { requiredDays: 2 }
const WITHIN_3 = { requiredDays: 3 }

/** Forty metrics over three datasets. The longest path of their graph has six metrics. */
export const SCENARIO_METRICS: readonly ScenarioMetric[] = [
  plant('plant.pieces', aggregate('sum', 'production.quantity')),
  plant('plant.weight', aggregate('sum', 'production.net_weight')),
  plant('plant.machines', aggregate('distinct', 'production.machine')),
  plant('plant.median_weight', aggregate('percentile', 'production.net_weight', { percentile: 0.5 })),
  plant(
    'plant.p90_by_day',
    aggregate('percentile', 'production.quantity', {
      percentile: 0.9,
      where: { op: 'in', series: 'production.shift', values: [1, 2] },
    }),
  ),
  plant(
    'plant.large_lots',
    aggregate('count', 'production.rows', {
      where: {
        op: 'all',
        of: [
          { op: '>', series: 'production.quantity', value: 20 },
          { op: 'not', of: { op: '=', series: 'production.material', value: 'PVC' } },
        ],
      },
    }),
  ),
  plant(
    'plant.weight_of_smallest',
    aggregate('first', 'production.net_weight', { by: 'production.quantity' }),
  ),
  sales('sales.orders', aggregate('count', 'orders.rows')),
  sales('sales.items', aggregate('sum', 'orders.items_count')),
  sales(
    'sales.b2b',
    aggregate('count', 'orders.rows', { where: { op: '=', series: 'orders.type', value: 'B2B' } }),
  ),
  sales('sales.customers', aggregate('distinct', 'orders.customer')),
  sales('sales.company_orders', aggregate('count', 'orders.rows'), BY_COMPANY),
  sales('sales.company_items', aggregate('sum', 'orders.items_count'), BY_COMPANY),
  sales('sales.warehouse_orders', aggregate('count', 'orders.rows'), BY_WAREHOUSE),
  sales('sales.warehouse_largest', aggregate('max', 'orders.items_count'), BY_WAREHOUSE),
  time('time.hours', {
    type: 'arithmetic',
    op: 'add',
    of: ['regular', 'overtime', 'night', 'holiday'].map((kind) => orNoHours(`dkt.${kind}_hours`)),
  }),
  time('time.people', aggregate('distinct', 'dkt.worker')),
  time('time.third_shift', {
    type: 'filter',
    of: aggregate('sum', 'dkt.regular_hours'),
    where: { op: '=', series: 'dkt.shift', value: 3 },
  }),
  time('time.overtime', aggregate('sum', 'dkt.overtime_hours')),

  plant('plant.weight_per_piece', ratio('plant.weight', 'plant.pieces', 1000)),
  plant('plant.pieces_7_days', rolling('sum', 'plant.pieces', 7)),
  plant('plant.pieces_month', sumSince('month', 'plant.pieces')),
  plant('plant.pieces_change', {
    type: 'growth',
    of: metric('plant.pieces'),
    days: 7,
    as: 'difference',
    onZero: 'missing',
  }),
  sales('sales.items_per_order', ratio('sales.items', 'sales.orders')),
  sales('sales.b2b_share', ratio('sales.b2b', 'sales.orders', 100)),
  sales(
    'sales.company_orders_5_days',
    { type: 'rolling', op: 'avg', of: metric('sales.company_orders'), days: 5, minDays: 2 },
    BY_COMPANY,
  ),
  sales(
    'sales.company_items_week',
    { type: 'cumulative', op: 'sum', of: metric('sales.company_items'), reset: 'week' },
    BY_COMPANY,
  ),
  sales('sales.warehouse_orders_3_days', rolling('sum', 'sales.warehouse_orders', 3), BY_WAREHOUSE),
  time('time.hours_per_person', ratio('time.hours', 'time.people')),
  time('time.busiest_of_quarter', {
    type: 'cumulative',
    op: 'max',
    of: metric('time.hours'),
    reset: 'quarter',
  }),
  hours('works.pieces_per_hour', ratio('plant.pieces', 'time.hours'), WITHIN_2),
  items('works.pieces_per_item', ratio('plant.pieces', 'sales.items'), WITHIN_2),

  sales(
    'sales.company_trend',
    { type: 'growth', of: metric('sales.company_orders_5_days'), days: 3, as: 'ratio', onZero: 'missing' },
    BY_COMPANY,
  ),
  sales(
    'sales.warehouse_spare',
    {
      type: 'arithmetic',
      op: 'subtract',
      of: [metric('sales.warehouse_orders_3_days'), metric('sales.warehouse_largest')],
    },
    BY_WAREHOUSE,
  ),
  hours(
    'works.good_day',
    {
      type: 'conditional',
      when: { op: '>=', left: metric('works.pieces_per_hour'), right: constant(3.5) },
      value: constant(1),
      otherwise: constant(0),
    },
    WITHIN_2,
  ),
  all(
    'works.index',
    {
      type: 'arithmetic',
      op: 'add',
      of: [
        { type: 'arithmetic', op: 'multiply', of: [orZero('works.pieces_per_hour'), constant(2)] },
        orZero('works.pieces_per_item'),
      ],
    },
    WITHIN_3,
  ),
  hours('works.good_days_of_5', rolling('sum', 'works.good_day', 5), WITHIN_2),
  all('works.index_month', sumSince('month', 'works.index'), WITHIN_3),
  all('works.index_growth', growth('works.index_month', 2), WITHIN_3),
  all(
    'works.alarm',
    {
      type: 'conditional',
      when: { op: '>', left: metric('works.index_growth'), right: metric('works.good_days_of_5') },
      value: metric('works.index'),
      otherwise: constant(0),
    },
    WITHIN_3,
  ),
]
