import type { MetricDefinitionInput } from '@aduana/contracts/metrics/definition'
import { aggregate, declareIn, growth, ratio, rolling, sumSince } from './expressions.ts'

const declare = declareIn('production')

const atNight = { op: '=', series: 'production.shift', value: 3 } as const

/** Production by day. */
export const PRODUCTION_METRICS: readonly MetricDefinitionInput[] = [
  declare('pieces', aggregate('sum', 'production.quantity'), 'Pieces', 'Unidades', 'pieces'),
  declare('weight', aggregate('sum', 'production.net_weight'), 'Net weight', 'Peso neto', 'kg'),
  declare('records', aggregate('count', 'production.rows'), 'Records', 'Registros'),
  declare(
    'machines_active',
    aggregate('distinct', 'production.machine'),
    'Machines active',
    'Máquinas activas',
  ),
  declare(
    'operators_active',
    aggregate('distinct', 'production.operator'),
    'Operators active',
    'Maquinistas activos',
  ),
  declare('lots', aggregate('distinct', 'production.lot'), 'Lots', 'Lotes'),
  declare(
    'median_weight',
    aggregate('percentile', 'production.net_weight', { percentile: 0.5 }),
    'Median weight of a record',
    'Mediana del peso por registro',
    'kg',
  ),
  declare(
    'pieces_third_shift',
    aggregate('sum', 'production.quantity', { where: atNight }),
    'Pieces of the third shift',
    'Unidades del tercer turno',
    'pieces',
  ),
  declare(
    'third_shift_share',
    ratio('production.pieces_third_shift', 'production.pieces', 100),
    'Share of the third shift',
    'Participación del tercer turno',
    '%',
  ),
  declare(
    'weight_per_piece',
    ratio('production.weight', 'production.pieces'),
    'Weight per piece',
    'Peso por unidad',
    'kg',
  ),
  declare(
    'pieces_per_machine',
    ratio('production.pieces', 'production.machines_active'),
    'Pieces per machine',
    'Unidades por máquina',
    'pieces',
  ),
  declare(
    'pieces_per_operator',
    ratio('production.pieces', 'production.operators_active'),
    'Pieces per operator',
    'Unidades por maquinista',
    'pieces',
  ),
  declare(
    'pieces_7_days',
    rolling('sum', 'production.pieces', 7),
    'Pieces in 7 days',
    'Unidades en 7 días',
    'pieces',
  ),
  declare(
    'pieces_7_days_average',
    rolling('avg', 'production.pieces', 7),
    'Pieces per day, mean of 7 days',
    'Unidades por día, media de 7 días',
    'pieces',
  ),
  declare(
    'weight_30_days',
    rolling('sum', 'production.weight', 30),
    'Net weight in 30 days',
    'Peso neto en 30 días',
    'kg',
  ),
  declare(
    'pieces_month_to_date',
    sumSince('month', 'production.pieces'),
    'Pieces, month to date',
    'Unidades del mes a la fecha',
    'pieces',
  ),
  declare(
    'pieces_year_to_date',
    sumSince('year', 'production.pieces'),
    'Pieces, year to date',
    'Unidades del año a la fecha',
    'pieces',
  ),
  declare(
    'weight_month_to_date',
    sumSince('month', 'production.weight'),
    'Net weight, month to date',
    'Peso neto del mes a la fecha',
    'kg',
  ),
  declare(
    'pieces_growth',
    growth('production.pieces', 7),
    'Pieces against a week before',
    'Unidades frente a la semana anterior',
    '%',
  ),
  declare(
    'pieces_7_days_growth',
    growth('production.pieces_7_days', 7),
    'Pieces in 7 days against the 7 days before',
    'Unidades en 7 días frente a los 7 anteriores',
    '%',
  ),
]
