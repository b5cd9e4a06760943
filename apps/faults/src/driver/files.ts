import type { Random } from '@aduana/testkit/random'
import { HEADER } from '../production-file.ts'

/** An import request: the file, and the fields of its form. */
export interface PlannedImport {
  content: string
  form: { dataset: string } & Record<string, string>
  /** It has more rejects than the dataset allows, so that it must fail. */
  alwaysFails: boolean
}

const DAYS = 40
const ORDERS = 300
const WORKERS = 60

/** Returns a file for one of the datasets. `index` makes it unique. */
export function planImport(random: Random, index: number): PlannedImport {
  const dataset = random.pick(['production', 'production', 'production', 'orders', 'dkt'])
  if (dataset === 'orders') return orders(random, index)
  return dataset === 'dkt' ? timeCards(random, index) : production(random, index)
}

function dayAt(offset: number): string {
  return new Date(Date.UTC(2024, 0, 10 + offset)).toISOString().slice(0, 10)
}

/** Days that overlap with those of other files, sometimes with a declared window, sometimes appended. */
function production(random: Random, index: number): PlannedImport {
  const first = random.int(0, DAYS - 1)
  const span = random.int(1, 5)
  const rows = Array.from({ length: random.int(5, 200) }, (_, row) => {
    const day = dayAt(first + random.int(0, span - 1))
    const machine = `M${String(random.int(1, 40)).padStart(3, '0')}`
    const weight = `${random.int(0, 999)},${random.int(0, 9)}`
    return `${day};${machine};W000${random.int(0, 9)};${random.int(1, 3)};PVC;L${index}-${row};${random.int(0, 500)};${weight};`
  })
  const alwaysFails = random.chance(0.04)
  const bad = Array.from(
    { length: alwaysFails ? rows.length : random.int(0, Math.floor(rows.length / 10)) },
    (_, row) =>
      random.pick([
        `2024-02-31;M001;W0001;1;PVC;B${index}-${row};1;1;`,
        `${dayAt(first)};X1;W0001;9;PVC;B${index}-${row};-1;1;`,
        `${dayAt(first)};M001;W0001`,
      ]),
  )
  const twice = random.chance(0.3) ? rows.slice(0, 2) : []
  const kind = random.next()
  const window = { from: dayAt(first), to: dayAt(first + span), onConflict: 'wait' }
  return {
    content: `${[HEADER, ...rows, ...bad, ...twice].join('\n')}\n`,
    form: {
      dataset: 'production',
      ...(kind < 0.25 ? window : {}),
      ...(kind > 0.85 ? { mode: 'append' } : {}),
    },
    alwaysFails,
  }
}

/** New versions of some orders; an order keeps its day. */
function orders(random: Random, index: number): PlannedImport {
  const chosen = new Set(Array.from({ length: random.int(3, 80) }, () => random.int(0, ORDERS - 1)))
  const changed = new Date(Date.UTC(2024, 5, 1) + random.int(0, 500) * 3_600_000 + index * 1000)
  const version = changed.toISOString().slice(0, 19).replace('T', ' ')
  const rows = [...chosen].map(
    (order) =>
      `O${order};B2B;${dayAt(order % 20)} 08:00;C${random.int(0, 9)};${random.int(0, 99)};ACME;W1;${version}`,
  )
  const header =
    'order_id;order_type;timestamp;customer_id;items_count;company;warehouse;source_modified_timestamp'
  return { content: `${[header, ...rows].join('\n')}\n`, form: { dataset: 'orders' }, alwaysFails: false }
}

/** Time cards, which are appended. */
function timeCards(random: Random, index: number): PlannedImport {
  const rows = Array.from(
    { length: random.int(5, WORKERS) },
    (_, row) =>
      `${dayAt(random.int(0, 20))};T${index}-${row};CC${random.int(1, 5)};${random.int(1, 3)};${random.int(1, 8)}`,
  )
  const bad = random.chance(0.3) ? [`${dayAt(1)};T${index}-bad;CC1;1;30`] : []
  const header = 'fecha;trabajador_codigo;centro_costo;turno;horas_ordinarias'
  return {
    content: `${[header, ...rows, ...bad].join('\n')}\n`,
    form: { dataset: 'dkt' },
    alwaysFails: false,
  }
}
