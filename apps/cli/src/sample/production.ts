import { type Random, scattered } from './random.ts'
import {
  type Defect,
  type Draw,
  padded,
  raggedLines,
  type Shape,
  type WrittenDay,
  wrongCell,
} from './shape.ts'

const DELIMITER = ';'
const DATE = 0
const MACHINE = 1
const OPERATOR = 2
const SHIFT = 3
const QUANTITY = 6
const WEIGHT = 7
const REMARK = 8

const MATERIALS = [
  'CARTÓN 180 G',
  'CARTÓN 250 G',
  'PAPEL KRAFT',
  'POLIPROPILENO',
  'PET CRISTAL',
  'LÁMINA CAL. 22',
  'ACERO A36',
  'RESINA ÉPOXI',
  'PELÍCULA BOPP',
  'TINTA NEGRA',
]
const REMARKS = [
  'Sin novedad',
  'Cambio de rodillo',
  'Ajuste de máquina al iniciar el turno',
  'Parada por falta de energía',
  'Material con humedad, se separó una paleta',
  'Producción normal, calibración al inicio',
  'Revisión de calidad: dimensión fuera de tolerancia',
  'Operario en inducción',
  'Mañana se programa mantenimiento',
]
const QUOTED_REMARKS = [
  '"Parada de 20 minutos\nSe avisó a mantenimiento"',
  '"El supervisor anotó ""revisar sensor"" en la bitácora"',
  '"Primera línea\nSegunda línea con ""comillas""; y punto y coma"',
  '"Cambio de referencia; ajuste de cuchillas"',
]
const NUMBER_WORDS = ['doce', 's/d', 'aprox. 300', '1e3', '12,5']
const UNKNOWN_MACHINES = ['MAQ-17', 'M12', 'X204', 'M1234', 'TORNO 3']
const LONG_TEXT = 'Observación demasiado larga para su columna. '.repeat(14)

const cell = (defect: Parameters<typeof wrongCell>[1]) => wrongCell(DELIMITER, defect)

const defects: Defect[] = [
  cell({
    kind: 'impossible_date',
    weight: 4,
    index: DATE,
    column: 'fecha_contabilizacion',
    code: 'not_a_date',
    value: (random, date) => `${random.pick(['31/02', '30/02', '31/04', '00/05', '12/13'])}/${yearOf(date)}`,
  }),
  cell({
    kind: 'unknown_machine',
    weight: 6,
    index: MACHINE,
    column: 'maquina_codigo',
    code: 'pattern',
    value: (random) => random.pick(UNKNOWN_MACHINES),
  }),
  cell({
    kind: 'negative_quantity',
    weight: 4,
    index: QUANTITY,
    column: 'cantidad',
    code: 'too_small',
    value: (random) => `-${1 + random.below(400)}`,
  }),
  cell({
    kind: 'missing_operator',
    weight: 5,
    index: OPERATOR,
    column: 'maquinista_codigo',
    code: 'required',
    value: (random) => random.pick(['', '', '  ']),
  }),
  cell({
    kind: 'missing_quantity',
    weight: 3,
    index: QUANTITY,
    column: 'cantidad',
    code: 'required',
    value: () => '',
  }),
  cell({
    kind: 'remark_too_long',
    weight: 1,
    index: REMARK,
    column: 'observacion',
    code: 'too_long',
    value: () => LONG_TEXT,
  }),
  cell({
    kind: 'text_in_number',
    weight: 4,
    index: QUANTITY,
    column: 'cantidad',
    code: 'not_an_integer',
    value: (random) => random.pick(NUMBER_WORDS),
  }),
  cell({
    kind: 'thousands_separator',
    weight: 4,
    index: WEIGHT,
    column: 'peso_neto',
    code: 'not_a_decimal',
    value: (random) =>
      `${1 + random.below(9)}.${padded(random.below(1000), 3)},${padded(random.below(1000), 3)}`,
  }),
  cell({
    kind: 'weight_too_precise',
    weight: 1,
    index: WEIGHT,
    column: 'peso_neto',
    code: 'too_precise',
    value: (random) => `${random.below(900)},${padded(random.below(1000), 3)}7`,
  }),
  cell({
    kind: 'shift_seven',
    weight: 3,
    index: SHIFT,
    column: 'turno',
    code: 'too_large',
    value: () => '7',
  }),
  {
    kind: 'several_faults',
    weight: 2,
    reasons: [
      { column: 'maquina_codigo', code: 'pattern' },
      { column: 'turno', code: 'too_small' },
      { column: 'cantidad', code: 'not_an_integer' },
    ],
    spoil: (cells, random) => {
      cells[MACHINE] = random.pick(UNKNOWN_MACHINES)
      cells[SHIFT] = '0'
      cells[QUANTITY] = random.pick(NUMBER_WORDS)
      return cells.join(DELIMITER)
    },
  },
  ...raggedLines(DELIMITER, 2),
  {
    kind: 'open_quote',
    weight: 1,
    // The next quote of the file opens another cell.
    reasons: [{ column: null, code: 'unterminated_quote' }],
    spoil: (cells) => {
      cells[REMARK] = '"quedó pendiente la revisión'
      return cells.join(DELIMITER)
    },
  },
  {
    kind: 'nul_character',
    weight: 1,
    reasons: [{ column: null, code: 'control_character' }],
    spoil: (cells) => {
      cells[REMARK] = 'Lectura del sensor\0 incompleta'
      return cells.join(DELIMITER)
    },
  },
]

/** Production by machine and shift, as a Colombian plant exports it: semicolons, decimal commas, accents. */
export const production: Shape = {
  delimiter: DELIMITER,
  header: [
    'Fecha de Contabilización',
    'Código de Máquina',
    'Código de Maquinista',
    'Turno',
    'Código de Material',
    'Número de Lote',
    'Cantidad',
    'Peso Neto (kg)',
    'Observaciones',
  ],
  good: (index, draw) => goodCells(index, draw, remark(draw.random)),
  versioned: false,
  again: (cells, { random }) => {
    const copy = [...cells]
    copy[QUANTITY] = String(random.below(5000))
    copy[WEIGHT] = weight(random)
    return copy
  },
  last: (index, draw) => goodCells(index, draw, draw.random.pick(QUOTED_REMARKS)),
  defects,
}

function goodCells(index: number, { random, days }: Draw, remarkCell: string): string[] {
  const machine = padded(1 + random.below(60), 3)
  return [
    writtenDay(random, random.pick(days)),
    `${random.chance(0.03) ? 'm' : 'M'}${machine}`,
    `W${padded(1 + random.below(400), 4)}`,
    String(1 + random.below(3)),
    random.chance(0.05) ? '' : random.pick(MATERIALS),
    `L${padded(scattered(index), 8)}`,
    String(random.below(5000)),
    weight(random),
    remarkCell,
  ]
}

function writtenDay(random: Random, day: WrittenDay): string {
  const form = random.next()
  return form < 0.96 ? day.slashes : form < 0.98 ? day.dashes : day.iso
}

function weight(random: Random): string {
  return `${random.below(2500)},${padded(random.below(1000), 3)}`
}

function remark(random: Random): string {
  const kind = random.next()
  return kind < 0.7 ? '' : kind < 0.98 ? random.pick(REMARKS) : random.pick(QUOTED_REMARKS)
}

function yearOf(date: string): string {
  return /\d{4}/.exec(date)?.[0] ?? '2024'
}
