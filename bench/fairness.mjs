// Measures how long the single import of one tenant waits while another tenant has hundreds queued: from its acceptance
// to its admission and to COMPLETED, beside the same import on an idle system.
//
//   node bench/fairness.mjs [queued=500] [rows=2000] [workers=1] [setting=value …]
//
// Settings are those of a worker: ADUANA_MAX_ACTIVE_PER_TENANT=8. Needs a built tree (npm run build).
import { allCompleted, fileOfDay } from './admissions.mjs'
import { givenNumbers, median, seconds } from './figures.mjs'
import { onServices } from './services.mjs'

const [QUEUED = 500, ROWS = 2000, WORKERS = 1] = givenNumbers()
const settings = Object.fromEntries(
  process.argv
    .slice(2)
    .filter((text) => text.includes('='))
    .map((text) => text.split('=')),
)
const SINGLES = 5

await onServices(async ({ addSystem }) => {
  const system = await addSystem()
  const many = await system.addUser('operator', { tenant: 'many' })
  const single = await system.addUser('operator', { tenant: 'single' })
  let days = 0
  const accept = (as) => {
    days += 1
    const day = new Date(Date.UTC(2005, 0, days)).toISOString().slice(0, 10)
    return system.accept(fileOfDay(day, ROWS), { dataset: 'production' }, as)
  }
  const singles = async () => {
    const all = []
    for (let n = 0; n < SINGLES; n += 1) all.push(await times(system, await accept(single)))
    return all
  }

  await Promise.all(Array.from({ length: WORKERS }, () => system.startWorker(settings)))
  await system.finished(await accept(single))
  tell('alone', await singles())

  const began = performance.now()
  for (let n = 0; n < QUEUED; n += 1) await accept(many)
  const among = await singles()
  const left = await system.database.pool.query(
    `select count(*)::int as jobs from jobs where tenant = 'many' and status = 'QUEUED'`,
  )
  tell(`among ${QUEUED} of another tenant (${left.rows[0].jobs} still queued afterwards)`, among)
  await allCompleted(system.database)
  console.log(`all ${QUEUED} of the other tenant: ${seconds(performance.now() - began, 1)} s`)
})

/** Milliseconds from the acceptance of a job to its admission and to its end, by the database's clock. */
async function times(system, id) {
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

function tell(what, all) {
  const figure = (name) => Math.round(median(all.map((one) => one[name])))
  const worst = Math.round(Math.max(...all.map(({ completed }) => completed)))
  console.log(
    `${what}: admitted after ${figure('admitted')} ms, completed after ${figure('completed')} ms (worst ${worst}), behind ${figure('before')} imports of the other tenant`,
  )
}
