// Measures how soon the next import begins when a window is released: from the end of the one that held it to the
// admission of the first in line, by the database's clock, in a chain of imports that all want the same window.
//
//   node bench/windows.mjs [imports=30] [rows=2000]
//
// Needs a built tree (npm run build).
import { allCompleted, fileOfDay } from './admissions.mjs'
import { givenNumbers } from './figures.mjs'
import { onServices } from './services.mjs'

const [IMPORTS = 30, ROWS = 2000] = givenNumbers()
const WINDOW = { dataset: 'production', from: '2024-01-01', to: '2024-02-01', onConflict: 'wait' }

await onServices(async ({ addSystem }) => {
  const system = await addSystem()
  await system.startWorker()
  for (let n = 0; n < IMPORTS; n += 1) await system.accept(fileOfDay('2024-01-02', ROWS), WINDOW)
  await allCompleted(system.database)
  const { rows } = await system.database.pool.query(`
    select extract(epoch from started_at - lag(completed_at) over (order by created_at)) * 1000 as gap
    from jobs order by created_at offset 1`)
  const values = rows.map(({ gap }) => Number(gap)).toSorted((a, b) => a - b)
  const at = (share) => Math.round(values[Math.min(values.length - 1, Math.floor(values.length * share))])
  console.log(
    `from the release of a window to the admission of the next, ${values.length} times: median ${at(0.5)} ms, 90 % ${at(0.9)} ms, worst ${at(1)} ms`,
  )
})
