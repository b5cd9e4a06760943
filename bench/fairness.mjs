// Measures how long the single import of one tenant waits while another tenant has hundreds queued: from its acceptance
// to its admission and to COMPLETED, beside the same import on an idle system.
//
//   node bench/fairness.mjs [queued=500] [rows=2000] [workers=1] [setting=value …]
//
// Settings are those of a worker: ADUANA_MAX_ACTIVE_PER_TENANT=8. Needs a built tree (npm run build).
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startPostgres } from '../apps/local/src/postgres.mjs'
import { startRedis } from '../apps/local/src/redis.mjs'
import { createTestSystem } from '../packages/testkit/dist/system.js'

const numbers = process.argv.slice(2).filter((text) => /^\d+$/.test(text))
const [QUEUED = 500, ROWS = 2000, WORKERS = 1] = numbers.map(Number)
const settings = Object.fromEntries(
  process.argv
    .slice(2)
    .filter((text) => text.includes('='))
    .map((text) => text.split('=')),
)
const SINGLES = 5
const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'

let days = 0
function aFile() {
  days += 1
  const day = new Date(Date.UTC(2005, 0, days)).toISOString().slice(0, 10)
  const tag = randomUUID().slice(0, 8)
  const lines = Array.from(
    { length: ROWS },
    (_, row) => `${day};M00${row % 7};W0001;1;steel;${tag}-${row};3;1,500;`,
  )
  return `${[HEADER, ...lines].join('\n')}\n`
}

const folder = await mkdtemp(join(tmpdir(), 'aduana-bench-'))
const postgres = await startPostgres({ dir: join(folder, 'postgres'), durable: true })
const redis = await startRedis({ dir: join(folder, 'redis'), persistent: true })
process.env.TEST_DATABASE_URL = postgres.url
process.env.TEST_REDIS_URL = redis.url
const system = await createTestSystem()
const many = await system.addUser('operator', { tenant: 'many' })
const single = await system.addUser('operator', { tenant: 'single' })
const accept = (as) => system.accept(aFile(), { dataset: 'production' }, as)

/** Milliseconds from the acceptance of a job to its admission and to its end, by the database's clock. */
async function times(id) {
  await system.finished(id, 600_000)
  const { rows } = await system.database.pool.query(
    `select extract(epoch from started_at - created_at) * 1000 as admitted,
       extract(epoch from completed_at - created_at) * 1000 as completed,
       (select count(*)::int from jobs a where a.tenant = 'many' and a.started_at between j.created_at and j.started_at) as before
     from jobs j where id = $1`,
    [id],
  )
  return { admitted: Number(rows[0].admitted), completed: Number(rows[0].completed), before: rows[0].before }
}
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
function tell(what, all) {
  const figure = (name) => Math.round(median(all.map((one) => one[name])))
  const worst = Math.round(Math.max(...all.map(({ completed }) => completed)))
  console.log(
    `${what}: admitted after ${figure('admitted')} ms, completed after ${figure('completed')} ms (worst ${worst}), behind ${figure('before')} imports of the other tenant`,
  )
}

try {
  await Promise.all(Array.from({ length: WORKERS }, () => system.startWorker(settings)))
  await system.finished(await accept(single))
  const alone = []
  for (let n = 0; n < SINGLES; n += 1) alone.push(await times(await accept(single)))
  tell('alone', alone)

  const began = performance.now()
  for (let n = 0; n < QUEUED; n += 1) await accept(many)
  const among = []
  for (let n = 0; n < SINGLES; n += 1) among.push(await times(await accept(single)))
  const left = await system.database.pool.query(
    `select count(*)::int as jobs from jobs where tenant = 'many' and status = 'QUEUED'`,
  )
  tell(`among ${QUEUED} of another tenant (${left.rows[0].jobs} still queued afterwards)`, among)
  const open = `select 1 from jobs where completed_at is null limit 1`
  while ((await system.database.pool.query(open)).rowCount > 0) await delay(200)
  console.log(`all ${QUEUED} of the other tenant: ${((performance.now() - began) / 1000).toFixed(1)} s`)
} finally {
  await system.close()
  await redis.stop()
  await postgres.stop()
  await rm(folder, { recursive: true, force: true })
}
