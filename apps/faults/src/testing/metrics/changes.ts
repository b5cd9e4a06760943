import { addDays } from '@aduana/contracts/dates'
import type { Random } from '@aduana/testkit/random'
import { HEADER } from '../../production-file.ts'

// The changes of the three datasets in the scenario: imported files, and external changes of the tables.

export const DATASETS = ['production', 'orders', 'dkt'] as const
export type Dataset = (typeof DATASETS)[number]

/** A file to upload. */
export interface ScenarioFile {
  kind: 'file'
  dataset: Dataset
  content: string
}

/** A change that another program writes to a table and then reports. */
export interface ExternalChange {
  kind: 'external'
  dataset: Dataset
  write: string
  update: Record<string, unknown> & { eventKey: string; occurredAt: string }
}

export type Change = ScenarioFile | ExternalChange

const FIRST_DAY = '2026-02-16'
const DAYS = 45
const DAY_MS = 86_400_000

const dayAt = (offset: number) => addDays(FIRST_DAY, offset)
const list = <T>(length: number, make: (index: number) => T): T[] =>
  Array.from({ length }, (_, at) => make(at))

/** Returns three files for each dataset. Later files overlap with earlier ones. */
export function scenarioFiles(random: Random): ScenarioFile[] {
  return DATASETS.flatMap((dataset) =>
    list(3, (index): ScenarioFile => {
      const first = index * 10
      const day = () => dayAt(random.int(first, Math.min(DAYS - 1, first + 24)))
      return { kind: 'file', dataset, content: FILES[dataset](random, index, day) }
    }),
  )
}

const FILES: Record<Dataset, (random: Random, index: number, day: () => string) => string> = {
  production: (random, index, day) => {
    const rows = list(90, (row) => {
      const [machine, weight] = [`M00${random.int(0, 6)}`, `${random.int(1, 19)},${random.int(0, 9)}`]
      return `${day()};${machine};W000${random.int(0, 4)};${random.int(1, 3)};${random.pick(['PVC', 'PE', ''])};L${index}-${row};${random.int(0, 60)};${weight};`
    })
    return `${[HEADER, ...rows, rows[0], `2026-02-31;M001;W0001;1;PVC;L${index}-bad;1;1;`].join('\n')}\n`
  },
  // A quarter of the orders of a file are also in the file before, with another day, company or warehouse.
  orders: (random, index, day) => {
    const header =
      'order_id;order_type;timestamp;customer_id;items_count;company;warehouse;source_modified_timestamp'
    const rows = list(100, (row) => {
      const time = `${String(random.int(0, 23)).padStart(2, '0')}:${String(random.int(0, 59)).padStart(2, '0')}`
      const customer = random.pick(['', `C${random.int(1, 9)}`])
      return `O${index * 75 + row};${random.pick(['B2B', 'B2C', ''])};${day()} ${time};${customer};${random.pick(['', '0', String(random.int(1, 30))])};${random.pick(['North', 'South'])};W${random.int(1, 2)};2026-04-0${index + 1} 10:00`
    })
    return `${[header, ...rows].join('\n')}\n`
  },
  dkt: (random, index, day) => {
    const header =
      'fecha;trabajador_codigo;centro_costo;turno;horas_ordinarias;horas_extra;horas_nocturnas;horas_festivas'
    const some = () => random.pick(['', String(random.int(1, 4))])
    const rows = list(80, (row) => {
      const shift = random.pick(['', '1', '2', '3'])
      return `${day()};T${index}-${row % 20};CC${row};${shift};${random.int(1, 8)};${some()};${some()};${some()}`
    })
    return `${[header, ...rows, `${dayAt(1)};T${index}-bad;CC1;1;30;;;`].join('\n')}\n`
  },
}

/**
 * Returns an external change that is reported with the time `occurredAt`. Metrics include it only if the runs of its update
 * cover the reported days and, for orders, companies and warehouses.
 */
export function externalChange(
  random: Random,
  dataset: Dataset,
  key: string,
  occurredAt: Date,
): ExternalChange {
  const from = dayAt(random.int(0, DAYS - 4))
  const to = addDays(from, random.int(1, 3))
  const [company, warehouse] = [random.pick(['North', 'South']), `W${random.int(1, 2)}`]
  const number = random.int(1, 1_000_000_000)
  const write: Record<Dataset, string> = {
    production: `update fact_production set cantidad = cantidad + ${random.int(1, 40)}, peso_neto = peso_neto + 0.5
      where fecha_contabilizacion >= '${from}' and fecha_contabilizacion < '${to}'`,
    orders: random.chance(0.3)
      ? `delete from order_detail where company = '${company}' and warehouse = '${warehouse}'
          and timestamp >= '${from} 00:00-05' and timestamp < '${to} 00:00-05'`
      : `insert into order_detail (id, order_id, order_type, timestamp, customer_id, items_count, company, warehouse,
            source_modified_timestamp, import_no, record, row_hash)
          select -${number} - n, '${key}-' || n, 'B2B', '${from} 12:00-05'::timestamptz + n * interval '1 hour', 'C' || n, n,
            '${company}', '${warehouse}', now(), 0, n, '' from generate_series(1, 4) n`,
    dkt: `insert into resumen_tarjeta (id, lote_id, fecha, trabajador_codigo, centro_costo, turno, horas_ordinarias,
        horas_extra)
      select -${number} - n, gen_random_uuid(), '${from}', '${key}-' || n, 'CC1', n, 8, 2 from generate_series(1, 3) n`,
  }
  return {
    kind: 'external',
    dataset,
    write: write[dataset],
    update: {
      eventKey: key,
      dataset,
      occurredAt: occurredAt.toISOString(),
      days: [{ from, to }],
      rows: 1,
      ...(dataset === 'orders' ? { companies: [company], warehouses: [warehouse] } : {}),
    },
  }
}

/**
 * Returns external changes that are reported late. Some occurred today or yesterday, like the files; the others weeks ago.
 * A few of those are within the required days of each other, and the others are not.
 */
export function changesReportedLate(random: Random, tag: string): ExternalChange[] {
  const now = Date.now()
  const moments = [0, 0.3, 0.9, 1.2, 1.9, 40, 40.5, 41.2, 55, 58.5, 70, 70.1].map(
    (days) => new Date(now - days * DAY_MS - random.int(0, 3_600_000)),
  )
  return moments.map((moment, index) =>
    externalChange(random, random.pick(DATASETS), `${tag}${index}`, moment),
  )
}
