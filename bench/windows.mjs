// Measures how soon the next import begins when a window is released: from the end of the one that held it to the
// admission of the first in line, by the database's clock, in a chain of imports that all want the same window.
//
//   node bench/windows.mjs [imports=30] [rows=2000]
//
// Needs a built tree (npm run build).
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startPostgres } from '../apps/local/src/postgres.mjs'
import { startRedis } from '../apps/local/src/redis.mjs'
import { createTestSystem } from '../packages/testkit/dist/system.js'

const [IMPORTS = 30, ROWS = 2000] = process.argv.slice(2).map(Number)
const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'

function aFile() {
  const tag = randomUUID().slice(0, 8)
  const lines = Array.from(
    { length: ROWS },
    (_, row) => `2024-01-02;M00${row % 7};W0001;1;steel;${tag}-${row};3;1,500;`,
  )
  return `${[HEADER, ...lines].join('\n')}\n`
}

const folder = await mkdtemp(join(tmpdir(), 'aduana-bench-'))
const postgres = await startPostgres({ dir: join(folder, 'postgres'), durable: true })
const redis = await startRedis({ dir: join(folder, 'redis'), persistent: true })
process.env.TEST_DATABASE_URL = postgres.url
process.env.TEST_REDIS_URL = redis.url
const system = await createTestSystem()
const query = async (text) => (await system.database.pool.query(text)).rows

try {
  await system.startWorker()
  for (let n = 0; n < IMPORTS; n += 1)
    await system.accept(aFile(), {
      dataset: 'production',
      from: '2024-01-01',
      to: '2024-02-01',
      onConflict: 'wait',
    })
  while ((await query('select 1 from jobs where completed_at is null limit 1')).length > 0) await delay(200)
  const gaps = await query(`
    select extract(epoch from started_at - lag(completed_at) over (order by created_at)) * 1000 as gap
    from jobs order by created_at offset 1`)
  const values = gaps.map(({ gap }) => Number(gap)).toSorted((a, b) => a - b)
  const at = (share) => Math.round(values[Math.min(values.length - 1, Math.floor(values.length * share))])
  console.log(
    `from the release of a window to the admission of the next, ${values.length} times: median ${at(0.5)} ms, 90 % ${at(0.9)} ms, worst ${at(1)} ms`,
  )
} finally {
  await system.close()
  await redis.stop()
  await postgres.stop()
  await rm(folder, { recursive: true, force: true })
}
