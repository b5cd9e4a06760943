import type { MetricDefinitionInput } from '@aduana/contracts/metrics/definition'
import { aggregate, declareIn, growth, metric, orZero, ratio, rolling, sumSince } from './expressions.ts'

const declare = declareIn('dkt')

const KINDS = ['regular_hours', 'overtime_hours', 'night_hours', 'holiday_hours']

/** Hours worked, by day. A kind of hours without any card on a day is missing, and counts as 0 in the sum. */
export const DKT_METRICS: readonly MetricDefinitionInput[] = [
  declare('regular_hours', aggregate('sum', 'dkt.regular_hours'), 'Regular hours', 'Horas ordinarias', 'h'),
  declare('overtime_hours', aggregate('sum', 'dkt.overtime_hours'), 'Overtime', 'Horas extra', 'h'),
  declare('night_hours', aggregate('sum', 'dkt.night_hours'), 'Night hours', 'Horas nocturnas', 'h'),
  declare('holiday_hours', aggregate('sum', 'dkt.holiday_hours'), 'Holiday hours', 'Horas festivas', 'h'),
  declare(
    'hours',
    { type: 'arithmetic', op: 'add', of: KINDS.map((kind) => orZero(`dkt.${kind}`)) },
    'Hours',
    'Horas',
    'h',
  ),
  declare('people', aggregate('distinct', 'dkt.worker'), 'People present', 'Personas presentes'),
  declare(
    'overtime_share',
    {
      type: 'ratio',
      of: orZero('dkt.overtime_hours'),
      by: metric('dkt.hours'),
      onZero: 'missing',
      times: 100,
    },
    'Share of overtime',
    'Participación de las horas extra',
    '%',
  ),
  declare('hours_per_person', ratio('dkt.hours', 'dkt.people'), 'Hours per person', 'Horas por persona', 'h'),
  declare('hours_7_days', rolling('sum', 'dkt.hours', 7), 'Hours in 7 days', 'Horas en 7 días', 'h'),
  declare(
    'people_7_days_average',
    rolling('avg', 'dkt.people', 7),
    'People present per day, mean of 7 days',
    'Personas presentes por día, media de 7 días',
  ),
  declare(
    'hours_month_to_date',
    sumSince('month', 'dkt.hours'),
    'Hours, month to date',
    'Horas del mes a la fecha',
    'h',
  ),
  declare(
    'overtime_month_to_date',
    sumSince('month', 'dkt.overtime_hours'),
    'Overtime, month to date',
    'Horas extra del mes a la fecha',
    'h',
  ),
  declare(
    'hours_growth',
    growth('dkt.hours', 7),
    'Hours against a week before',
    'Horas frente a la semana anterior',
    '%',
  ),
]
