// Measures how long an import takes to complete after the only worker that holds it is killed with SIGKILL, while another
// worker is there and idle: seconds from the kill to COMPLETED, for each place at which a worker can die.
//
//   node bench/recovery.mjs [kills=5]
//
// Needs a built tree (npm run build).
import { existsSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileOfDay } from './admissions.mjs'
import { givenNumbers, median, seconds } from './figures.mjs'
import { onServices } from './services.mjs'

const [KILLS = 5] = givenNumbers()
const STAGES = ['parse', 'validate', 'quarantine', 'load', 'fan-out']
/** In the work of each stage, in the middle of the load's transaction, and between the commit of a stage and BullMQ. */
const PLACES = [
  ...STAGES.map((stage) => `stage.before-work:${stage}/2`),
  'load.before-commit:2',
  ...['parse', 'validate', 'quarantine'].map((stage) => `stage.after-commit:${stage}/2`),
  'load.after-commit:2',
]
const ROWS = 300

await onServices(async ({ addSystem, folder }) => {
  console.log(`seconds from the kill to the next attempt and to COMPLETED, ${KILLS} kills each`)
  console.log(`${'killed at'.padEnd(32)} attempt: median  worst   completed: median  worst`)
  const all = []
  for (const place of PLACES) {
    const times = []
    for (let kill = 0; kill < KILLS; kill += 1)
      times.push(
        await recoverOnce(await addSystem(), place, join(folder, `${place.replace(/\W/g, '-')}-${kill}`)),
      )
    all.push(...times)
    report(place, times)
  }
  report('all', all)
})

function report(what, times) {
  const [admitted, completed] = ['admitted', 'completed'].map((name) => {
    const all = times.map((time) => time[name])
    return `${seconds(median(all)).padStart(15)} ${seconds(Math.max(...all)).padStart(6)}`
  })
  console.log(`${what.padEnd(32)} ${admitted}    ${completed}   load ${loadavg()[0].toFixed(1)}`)
}

async function recoverOnce(system, place, gate) {
  const doomed = await system.startWorker({ ADUANA_FAIL_POINTS: `${place}=hold-${gate}` })
  await system.import(fileOfDay('2024-01-01', ROWS), { dataset: 'production' })
  const id = await system.accept(fileOfDay('2024-01-02', ROWS), { dataset: 'production' })
  while (!existsSync(`${gate}.held`)) await delay(20)
  await system.startWorker()
  // A worker judges others after three seconds; any moment between two of its looks is as likely as another.
  await delay(4000 + 1000 * Math.random())
  const { pool } = system.database
  const { rows: died } = await pool.query('select clock_timestamp()::text as at')
  doomed.signal('SIGKILL')
  const job = await system.finished(id, 120_000)
  if (job.status !== 'COMPLETED') throw new Error(`${place}: the import ended as ${job.status}`)
  const { rows } = await pool.query(
    `select 1000 * extract(epoch from admitted_at - $2::timestamptz)::float8 as admitted,
       1000 * extract(epoch from completed_at - $2::timestamptz)::float8 as completed from jobs where id = $1`,
    [id, died[0].at],
  )
  await Promise.all(system.processes().map((process) => process.stop()))
  return rows[0]
}
