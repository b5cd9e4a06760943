import type { TestSystem } from '@aduana/testkit/system'
import { HEADER } from '../production-file.ts'

/** A file of `production` whose days no other file of the same test has, and the rows that it leaves in the table. */
export interface MonthFile {
  content: string
  rows: readonly string[]
}

const YEARS_FROM = 2001

/** The file of the `index`-th month: good rows, two bad ones and a duplicate; `tag` begins the lot of each row. */
export function monthFile(index: number, tag: string, rows = 200): MonthFile {
  const month = `${YEARS_FROM + Math.floor(index / 12)}-${String((index % 12) + 1).padStart(2, '0')}`
  const records = Array.from({ length: rows }, (_, row) => {
    const day = `${month}-${String((row % 28) + 1).padStart(2, '0')}`
    return { day, lote: `${tag}${index}-${row}`, quantity: row }
  })
  const line = (record: { day: string; lote: string; quantity: number }) =>
    `${record.day};M00${record.quantity % 7};W000${record.quantity % 5};1;PVC;${record.lote};${record.quantity};1,5;`
  const [first] = records.map(line)
  const bad = [`${month}-99;M001;W0001;1;PVC;bad;1;1;`, `x;M001;W0001;1;PVC;bad;1;1;`]
  return {
    content: `${[HEADER, ...records.map(line), ...bad, first].join('\n')}\n`,
    rows: records.map(({ day, lote, quantity }) => `${day} M00${quantity % 7} ${lote} ${quantity}`),
  }
}

/** Every row of the target, as `MonthFile.rows` writes it, sorted. */
export async function loadedRows(system: TestSystem): Promise<string[]> {
  const rows = await system.database.pool.query<{ text: string }>(
    `select concat_ws(' ', fecha_contabilizacion::text, m.codigo, lote, cantidad::bigint::text) as text
     from fact_production f join dim_maquina m on m.id = f.maquina_id`,
  )
  return rows.rows.map(({ text }) => text).sort()
}

/** The rows that these files leave in an empty table. */
export function rowsOf(files: readonly MonthFile[]): string[] {
  return files.flatMap(({ rows }) => rows).sort()
}
