import { scattered } from './random.ts'
import { type Defect, padded, raggedLines, type Shape, wrongCell } from './shape.ts'

const DELIMITER = ';'
const COST_CENTRES = 40
const NAMES = ['Ana María Peña', 'José Ángel Núñez', 'Íñigo Rodríguez', 'Sofía Muñoz', 'Raúl Ibáñez']

const cell = (defect: Parameters<typeof wrongCell>[1]) => wrongCell(DELIMITER, defect)

/** A defect of the hours together. */
function hours(kind: string, code: string, written: readonly [string, string, string, string]): Defect {
  return {
    kind,
    weight: 3,
    reasons: [{ column: null, code }],
    spoil: (cells) => [...cells.slice(0, 5), ...written, ...cells.slice(9)].join(DELIMITER),
  }
}

const defects: Defect[] = [
  cell({
    kind: 'impossible_date',
    weight: 4,
    index: 0,
    column: 'fecha',
    code: 'not_a_date',
    value: (random) => random.pick(['31/02/2024', '2024-13-01', 'lunes']),
  }),
  cell({
    kind: 'missing_worker',
    weight: 3,
    index: 1,
    column: 'trabajador_codigo',
    code: 'required',
    value: () => '',
  }),
  cell({
    kind: 'missing_cost_centre',
    weight: 3,
    index: 3,
    column: 'centro_costo',
    code: 'required',
    value: () => '',
  }),
  cell({ kind: 'shift_seven', weight: 2, index: 4, column: 'turno', code: 'too_large', value: () => '7' }),
  cell({
    kind: 'text_in_number',
    weight: 3,
    index: 5,
    column: 'horas_ordinarias',
    code: 'not_a_decimal',
    value: (random) => random.pick(['ocho', 's/d', '8h']),
  }),
  cell({
    kind: 'negative_hours',
    weight: 2,
    index: 6,
    column: 'horas_extra',
    code: 'too_small',
    value: () => '-2',
  }),
  hours('too_many_hours', 'too_many_hours', ['12', '8', '6', '0']),
  hours('no_hours', 'no_hours', ['', '0', '0,0', '']),
  ...raggedLines(DELIMITER, 1),
]

/** Time cards: hours of a worker on a cost centre and day. */
export const dkt: Shape = {
  delimiter: DELIMITER,
  header: [
    'Fecha',
    'Código Trabajador',
    'Nombre',
    'Centro de Costo',
    'Turno',
    'Ordinarias',
    'Extra',
    'Nocturnas',
    'Festivas',
    'Observaciones',
  ],
  good: (index, { random, days }) => {
    // The number names one day, cost centre and worker, so no two records share all three.
    const place = scattered(index)
    const rest = Math.floor(place / days.length)
    const worker = Math.floor(rest / COST_CENTRES)
    return [
      days[place % days.length]?.slashes ?? '',
      `T${padded(worker, 6)}`,
      random.pick(NAMES),
      `CC-${padded(1 + (rest % COST_CENTRES), 3)}`,
      random.chance(0.04) ? '' : String(1 + random.below(3)),
      random.pick(['8', '7,5', '7,25', '6']),
      random.pick(['', '0', '1', '2,25']),
      random.pick(['', '0', '4']),
      random.chance(0.05) ? '8' : '',
      random.chance(0.1)
        ? random.pick(['Relevo de compañero', '"Turno doble; autorizó ""jefe de línea"""'])
        : '',
    ]
  },
  versioned: false,
  again: (cells, { random }) => {
    const copy = [...cells]
    copy[5] = random.pick(['8', '6'])
    return copy
  },
  last: (index, draw) => {
    const cells = dkt.good(index, draw)
    cells[9] = '"Turno doble; autorizó ""jefe de línea"""'
    return cells
  },
  defects,
}
