import { type Random, scattered } from './random.ts'
import { type Defect, padded, raggedLines, type Shape, two, wrongCell } from './shape.ts'

const DELIMITER = ','
const PLACES = [
  ['Andina', 'Bogotá Norte'],
  ['Andina', 'Medellín'],
  ['Caribe', 'Barranquilla'],
  ['Pacífico', 'Cali'],
  ['Pacífico', 'Popayán'],
] as const
const TYPES = ['VENTA', 'TRASLADO', 'DEVOLUCIÓN', 'E-COMMERCE']

const cell = (defect: Parameters<typeof wrongCell>[1]) => wrongCell(DELIMITER, defect)

const defects: Defect[] = [
  cell({
    kind: 'impossible_time',
    weight: 4,
    index: 2,
    column: 'timestamp',
    code: 'not_a_timestamp',
    value: (random) =>
      random.pick(['2024-02-31 08:00:00', 'ayer', '2024-05-01 25:00:00', '01/13/2024 10:00']),
  }),
  cell({ kind: 'missing_order', weight: 3, index: 0, column: 'order_id', code: 'required', value: () => '' }),
  cell({
    kind: 'missing_warehouse',
    weight: 3,
    index: 6,
    column: 'warehouse',
    code: 'required',
    value: () => ' ',
  }),
  cell({
    kind: 'negative_items',
    weight: 2,
    index: 4,
    column: 'items_count',
    code: 'too_small',
    value: (random) => `-${1 + random.below(20)}`,
  }),
  cell({
    kind: 'text_in_number',
    weight: 3,
    index: 4,
    column: 'items_count',
    code: 'not_an_integer',
    value: (random) => random.pick(['tres', 's/d', '1.5']),
  }),
  cell({
    kind: 'type_too_long',
    weight: 1,
    index: 1,
    column: 'order_type',
    code: 'too_long',
    value: () => 'TIPO DE PEDIDO QUE NO CABE EN SU COLUMNA '.repeat(3).trim(),
  }),
  ...raggedLines(DELIMITER, 1),
]

/** Orders of warehouses: commas, ISO times. A repeated order is a later version. */
export const orders: Shape = {
  delimiter: DELIMITER,
  header: [
    'Número de Pedido',
    'Tipo de Pedido',
    'Fecha Pedido',
    'Cliente',
    'Número de Ítems',
    'Empresa',
    'Bodega',
    'Última Modificación',
  ],
  good: (index, { random, days }) => {
    const [company, warehouse] = random.pick(PLACES)
    const { iso } = random.pick(days)
    return [
      `PED-${padded(scattered(index), 8)}`,
      random.chance(0.03) ? '' : random.pick(TYPES),
      `${iso} ${time(random)}`,
      random.chance(0.01) ? '"Peña, Núñez y Cía."' : `C${padded(random.below(20_000), 5)}`,
      String(1 + random.below(60)),
      company,
      warehouse,
      `${iso}T${time(random)}Z`,
    ]
  },
  versioned: true,
  again: (cells, { random, days }) => {
    const copy = [...cells]
    copy[4] = String(1 + random.below(60))
    copy[7] = `${days.at(-1)?.iso}T${time(random)}Z`
    return copy
  },
  last: (index, draw) => {
    const cells = orders.good(index, draw)
    cells[3] = '"Peña, Núñez y Cía."'
    return cells
  },
  defects,
}

function time(random: Random): string {
  return `${two(random.below(24))}:${two(random.below(60))}:${two(random.below(60))}`
}
