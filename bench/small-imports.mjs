// Measures what one small import costs when a worker has nothing else to do: the milliseconds from its acceptance to
// COMPLETED, and those of processor time in the worker and its engines; for files without faults, and for files in which
// one record is rejected and one is a duplicate. Both in turn.
//
//   node bench/small-imports.mjs [imports=40] [rows=20]
//
// Needs a built tree (npm run build), and Linux.
import { fileOfDay } from './admissions.mjs'
import { givenNumbers, median } from './figures.mjs'
import { childrenOf, processorTime } from './processes.mjs'
import { onServices } from './services.mjs'

const [IMPORTS = 40, ROWS = 20] = givenNumbers()
const WARM_UP = 10

await onServices(async ({ addSystem }) => {
  const system = await addSystem()
  const { pid } = await system.startWorker()
  let days = 0
  const clean = () => {
    days += 1
    return fileOfDay(new Date(Date.UTC(2005, 0, days)).toISOString().slice(0, 10), ROWS)
  }
  const faulty = () => {
    const file = clean()
    const last = file.trimEnd().split('\n').at(-1)
    return `${file}${last}\n${last.replace(/;3;/, ';none;')}\n`
  }
  const costs = { clean: [], faulty: [] }
  for (let n = -WARM_UP; n < IMPORTS; n += 1)
    for (const [kind, make] of Object.entries({ clean, faulty })) {
      const cost = await measure(pid, () => oneImport(system, make()))
      if (n >= 0) costs[kind].push(cost)
    }
  for (const [kind, all] of Object.entries(costs)) {
    const mean = (name) => Math.round(all.reduce((sum, one) => sum + one[name], 0) / all.length)
    const whole = Math.round(median(all.map(({ completed }) => completed)))
    console.log(
      `${kind}: completed after ${whole} ms (median); processor ${mean('worker')} ms worker, ${mean('engines')} ms engines (mean)`,
    )
  }
})

/** The milliseconds from acceptance to the end of an import, by the database's clock. */
async function oneImport(system, content) {
  const { id } = await system.import(content, { dataset: 'production' })
  const { rows } = await system.database.pool.query(
    'select status, extract(epoch from completed_at - created_at)::float8 * 1000 as completed from jobs where id = $1',
    [id],
  )
  if (rows[0].status !== 'COMPLETED') throw new Error(`an import ended as ${rows[0].status}`)
  return rows[0].completed
}

async function measure(pid, work) {
  const before = await processorTimes(pid)
  const completed = await work()
  const after = await processorTimes(pid)
  return { completed, worker: after.worker - before.worker, engines: after.engines - before.engines }
}

/** Milliseconds of processor time of a worker, and of the processes that it has started. */
async function processorTimes(pid) {
  const times = await Promise.all((await childrenOf(pid)).map(processorTime))
  return { worker: await processorTime(pid), engines: times.reduce((sum, one) => sum + one, 0) }
}
