import type { TestSystem } from '@aduana/testkit/system'
import { HEADER } from '../production-file.ts'

/** A file of `production` with days that no other file of the same test contains, and the rows that it loads. */
export interface MonthFile {
  content: string
  rows: readonly string[]
}

const YEARS_FROM = 2001

/** Returns the file of the `index`-th month: valid rows, two invalid ones and a duplicate. The lot of each row begins with `tag`. */
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

/** Returns every row of the target in the form of `MonthFile.rows`, sorted. */
export async function loadedRows(system: TestSystem): Promise<string[]> {
  const rows = await system.database.pool.query<{ text: string }>(
    `select concat_ws(' ', fecha_contabilizacion::text, m.codigo, lote, cantidad::bigint::text) as text
     from fact_production f join dim_maquina m on m.id = f.maquina_id`,
  )
  return rows.rows.map(({ text }) => text).sort()
}

/** Returns the rows that these files load into an empty table. */
export function rowsOf(files: readonly MonthFile[]): string[] {
  return files.flatMap(({ rows }) => rows).sort()
}
