// What it costs to keep the rows that an import replaces: the same file is imported over itself by a worker that keeps
// them, and by one that does not. Both in turn, in one run. Ends with an undo of the last import.
//
//   node bench/before-image.mjs [rows=1000000] [rounds=3]
//
// Needs a built tree (npm run build).
import { join } from 'node:path'
import { givenNumbers, median, seconds } from './figures.mjs'
import { loadTime, startInstallation, writeSampleFile } from './installation.mjs'
import { onServices } from './services.mjs'

const [ROWS = 1_000_000, ROUNDS = 3] = givenNumbers()
const WITHOUT_IMAGE = { NODE_OPTIONS: `--import ${new URL('without-before-image.mjs', import.meta.url)}` }

await onServices(async (services) => {
  const { system, call, completed, importFile } = await startInstallation(services)
  const [file, small] = [join(services.folder, 'rows.csv'), join(services.folder, 'small.csv')]
  await writeSampleFile(file, ROWS)
  await writeSampleFile(small, 100, { from: '2020-01-01', to: '2020-01-05' })
  let worker
  const importWith = async (settings) => {
    await worker?.stop()
    worker = await system.startWorker(settings)
    await importFile(small)
    await system.database.pool.query('checkpoint')
    return importFile(file)
  }

  let last = await importWith({})
  const [without, kept] = [[], []]
  for (let round = 0; round < ROUNDS; round += 1) {
    without.push(loadTime(await importWith(WITHOUT_IMAGE)))
    last = await importWith({})
    kept.push(loadTime(last))
    const image = last.artifacts.find(({ name }) => name.startsWith('before-image'))
    console.log(
      `round ${round + 1}: load without the image ${seconds(without.at(-1))} s, with it ${seconds(kept.at(-1))} s; ${last.counts.removed} rows kept in ${(image.bytes / 1e6).toFixed(1)} MB`,
    )
  }
  console.log(
    `median: ${seconds(median(without))} s and ${seconds(median(kept))} s, ${(median(kept) / median(without)).toFixed(2)} x`,
  )
  const undo = await completed(await call(`/api/jobs/${last.id}/undo`, { method: 'POST' }))
  const { deleted, restored } = undo.result.reversed
  console.log(`undo: ${deleted} rows deleted, ${restored} brought back, ${seconds(loadTime(undo))} s`)
})
