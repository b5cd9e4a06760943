// Compares the load stage of a dry run with that of the import itself: a file of which every tenth row is changed, over
// the same rows. Both in turn, in one run, on one durable PostgreSQL.
//
//   node bench/preview-vs-load.mjs [rows=1000000] [rounds=3]
//
// Needs a built tree (npm run build).
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { givenNumbers, median, seconds } from './figures.mjs'
import { loadTime, startInstallation, writeSampleFile } from './installation.mjs'
import { onServices } from './services.mjs'

const [ROWS = 1_000_000, ROUNDS = 3] = givenNumbers()

await onServices(async (services) => {
  const { system, call, importFile } = await startInstallation(services)
  await system.startWorker()
  const [before, after] = [join(services.folder, 'before.csv'), join(services.folder, 'after.csv')]
  await writeSampleFile(before, ROWS, { seed: 7 })
  // Another remark in every tenth row, which is its last column.
  const lines = (await readFile(before, 'utf8')).split('\n')
  const changed = lines.map((line, index) =>
    index > 0 && index % 10 === 0 && line ? line.replace(/[^;,]*$/, 'changed') : line,
  )
  await writeFile(after, changed.join('\n'))

  const [previews, loads] = [[], []]
  const tell = (what, preview, load, more = '') =>
    console.log(
      `${what}: preview ${seconds(preview)} s, load ${seconds(load)} s, ratio ${(preview / load).toFixed(2)}${more}`,
    )
  for (let round = 0; round < ROUNDS; round += 1) {
    await importFile(before)
    const dry = await importFile(after, { dryRun: 'true' })
    const { preview } = await call(`/api/jobs/${dry.id}/preview`)
    previews.push(loadTime(dry))
    loads.push(loadTime(await importFile(after)))
    tell(`round ${round + 1}`, previews.at(-1), loads.at(-1), `; ${JSON.stringify(preview.totals)}`)
  }
  tell('median', median(previews), median(loads))
})
