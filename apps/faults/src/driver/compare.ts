import type pg from 'pg'
import { z } from 'zod'

/** The result of imports as text, without numbers that depend on their order. */
const CONTENTS: Record<string, string> = {
  production: `select concat_ws('|', fecha_contabilizacion, m.codigo, w.codigo, turno, material, lote, cantidad, peso_neto,
      observacion, f.id & 4294967295) as line
    from fact_production f join dim_maquina m on m.id = f.maquina_id join dim_maquinista w on w.id = f.maquinista_id`,
  orders: `select concat_ws('|', order_id, order_type, "timestamp", customer_id, items_count, company, warehouse,
      source_modified_timestamp, record, row_hash) as line from order_detail`,
  dkt: `select concat_ws('|', fecha, trabajador_codigo, centro_costo, turno, horas_ordinarias, id & 4294967295) as line
    from resumen_tarjeta`,
  'the ledger': `select concat_ws('|', d.code, l.scope, l.day, l.rows, j.content_sha256) as line
    from window_ledger l join datasets d on d.id = l.dataset_id join jobs j on j.id = l.job_id`,
  rejects: `select concat_ws('|', j.content_sha256, q.record, q.line, q.codes, q.columns, q.reasons, q.raw, q.state) as line
    from quarantined_records q join jobs j on j.id = q.job_id where j.status = 'COMPLETED'`,
  'the dataset updates': `select concat_ws('|', j.content_sha256, u.days, u.scopes, u.rows) as line
    from dataset_updates u join jobs j on j.id = u.job_id`,
}

export type Contents = Record<string, readonly string[]>

const Lines = z.array(z.object({ line: z.string() }))

/** Returns the result of all imports of a database, sorted. */
export async function readContents(pool: pg.Pool): Promise<Contents> {
  const contents: Record<string, string[]> = {}
  for (const [name, sql] of Object.entries(CONTENTS))
    contents[name] = Lines.parse((await pool.query(sql)).rows)
      .map(({ line }) => line)
      .sort()
  return contents
}

const LINES_SHOWN = 3

/** Returns how `found` differs from `expected`; empty when they are equal. */
export function compareContents(found: Contents, expected: Contents): string[] {
  return Object.keys(CONTENTS).flatMap((name) => {
    const [missing, extra] = [
      without(expected[name] ?? [], found[name] ?? []),
      without(found[name] ?? [], expected[name] ?? []),
    ]
    return [...describeLines(`${name}: missing`, missing), ...describeLines(`${name}: unexpected`, extra)]
  })
}

function without(lines: readonly string[], others: readonly string[]): string[] {
  const counts = new Map<string, number>()
  for (const line of others) counts.set(line, (counts.get(line) ?? 0) + 1)
  return lines.filter((line) => {
    const left = counts.get(line) ?? 0
    counts.set(line, left - 1)
    return left <= 0
  })
}

function describeLines(what: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return []
  return [`${what} ${lines.length}, such as ${lines.slice(0, LINES_SHOWN).join(' and ')}`]
}
