// What the benchmarks of admission have in common: imports that are accepted without an API.
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'

/** The text of a file of `production` with rows of one day, none of them in another file. */
export function fileOfDay(day, rows) {
  const tag = randomUUID().slice(0, 8)
  const lines = Array.from(
    { length: rows },
    (_, row) => `${day};M00${row % 7};W0001;1;steel;${tag}-${row};3;1,500;`,
  )
  return `${[HEADER, ...lines].join('\n')}\n`
}

/** Wait until no import is in work; asks seldom, to take no time from those that are. */
export async function allCompleted({ pool }) {
  const open = 'select 1 from jobs where completed_at is null limit 1'
  while ((await pool.query(open)).rowCount > 0) await delay(200)
}
