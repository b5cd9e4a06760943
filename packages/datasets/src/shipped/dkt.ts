import {
  type Condition,
  DatasetDefinition,
  type DatasetDefinitionInput,
} from '@aduana/contracts/dataset-definition'
import { NO_VALUE } from './no-value.ts'

const HOURS = ['horas_ordinarias', 'horas_extra', 'horas_nocturnas', 'horas_festivas']

type ColumnInput = DatasetDefinitionInput['columns'][number]

function hours(name: string, en: string, es: string, aliases: string[]): ColumnInput {
  return {
    name,
    type: 'decimal',
    title: { en, es },
    precision: 5,
    scale: 2,
    decimalMark: 'either',
    min: 0,
    aliases,
  }
}

const columns: ColumnInput[] = [
  {
    name: 'fecha',
    type: 'date',
    title: { en: 'Date', es: 'Fecha' },
    required: true,
    formats: ['YYYY-MM-DD', 'D/M/YYYY', 'D-M-YYYY'],
    midnight: true,
    aliases: ['fecha tarjeta', 'date'],
  },
  {
    name: 'trabajador_codigo',
    type: 'text',
    title: { en: 'Worker', es: 'Trabajador' },
    required: true,
    normalise: ['upper'],
    maxLength: 20,
    aliases: ['trabajador', 'código trabajador', 'código de trabajador', 'cod trabajador', 'worker code'],
  },
  {
    name: 'trabajador_nombre',
    type: 'text',
    title: { en: 'Name of the worker', es: 'Nombre del trabajador' },
    restricted: true,
    maxLength: 200,
    normalise: ['collapse-spaces'],
    aliases: ['nombre', 'nombre trabajador', 'nombre del trabajador', 'worker name'],
  },
  {
    name: 'centro_costo',
    type: 'text',
    title: { en: 'Cost centre', es: 'Centro de costo' },
    required: true,
    maxLength: 40,
    aliases: ['centro de costo', 'centro de costos', 'cc', 'cost centre', 'cost center'],
  },
  {
    name: 'turno',
    type: 'integer',
    title: { en: 'Shift', es: 'Turno' },
    bits: 16,
    zeroFraction: 'either',
    min: 1,
    max: 3,
    aliases: ['shift'],
  },
  hours('horas_ordinarias', 'Regular hours', 'Horas ordinarias', ['ordinarias', 'h. ordinarias']),
  hours('horas_extra', 'Overtime', 'Horas extra', ['extra', 'extras', 'horas extras', 'h. extra']),
  hours('horas_nocturnas', 'Night hours', 'Horas nocturnas', ['nocturnas', 'h. nocturnas']),
  hours('horas_festivas', 'Holiday hours', 'Horas festivas', ['festivas', 'h. festivas', 'dominicales']),
  {
    name: 'observacion',
    type: 'text',
    title: { en: 'Remark', es: 'Observación' },
    maxLength: 500,
    aliases: ['observaciones', 'obs', 'remark'],
  },
]

const total = (op: '<=' | '>', value: number): Condition => ({ op, left: { sum: HOURS }, right: { value } })

/** Daily time cards: hours that a worker spent on a cost centre. */
export const dkt = DatasetDefinition.parse({
  code: 'dkt',
  title: { en: 'Time cards', es: 'Tarjetas de tiempo' },
  nullWords: NO_VALUE,
  table: { name: 'resumen_tarjeta' },
  columns,
  rules: [
    { code: 'too_many_hours', message: 'the hours of a day add up to more than 24', assert: total('<=', 24) },
    { code: 'no_hours', message: 'the card has no hours at all', assert: total('>', 0) },
  ],
  unique: { columns: ['fecha', 'trabajador_codigo', 'centro_costo'], keep: 'first' },
  loadMode: 'append',
  windowColumn: 'fecha',
  sortBy: ['fecha', 'trabajador_codigo'],
  batchColumn: 'lote_id',
})
