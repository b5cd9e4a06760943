// Compares an import, from the upload to COMPLETED, with `psql \copy` of the same rows (clean, unsorted) into a table
// with the same columns, partitions and indexes. Both in turn, in one run, on one durable PostgreSQL.
//
//   node bench/import-vs-copy.mjs [rows=2000000] [rounds=3]
//
// Needs psql on the PATH and a built tree (npm run build).
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { givenNumbers, median, seconds, timed } from './figures.mjs'
import { stagesOf, startInstallation, writeSampleFile } from './installation.mjs'
import { childrenOf, peakMegabytes } from './processes.mjs'
import { onServices } from './services.mjs'

const [ROWS = 2_000_000, ROUNDS = 3] = givenNumbers()

await onServices(async (services) => {
  const { system, api, importFile } = await startInstallation(services)
  const worker = await system.startWorker()
  const { pool, url } = system.database
  const psql = (command) => execFileSync('psql', [url, '-q', '-v', 'ON_ERROR_STOP=1', '-c', command])
  const [small, large] = [join(services.folder, 'small.csv'), join(services.folder, 'large.csv')]
  await writeSampleFile(small, 100, { seed: 100 })
  await writeSampleFile(large, ROWS, { seed: ROWS })

  await importFile(small)
  const smalls = []
  for (let round = 0; round < 9; round += 1) smalls.push(await timed(() => importFile(small)))
  console.log(`100 rows: median ${Math.round(median(smalls))} ms, best ${Math.round(Math.min(...smalls))} ms`)

  // The rows as a table takes them, in the order of the file.
  await importFile(large)
  const plain = join(services.folder, 'plain.csv')
  psql(`\\copy (select * from fact_production order by id) to '${plain}' csv`)
  await makeCopyTarget(pool)

  const [imports, copies] = [[], []]
  for (let round = 0; round < ROUNDS; round += 1) {
    await pool.query('truncate fact_production, copy_target; delete from window_ledger')
    await pool.query('checkpoint')
    const began = performance.now()
    const job = await importFile(large)
    imports.push(performance.now() - began)
    const stages = stagesOf(job).map(({ stage, milliseconds }) => `${stage} ${seconds(milliseconds)}`)
    await pool.query('truncate fact_production')
    await pool.query('checkpoint')
    copies.push(await timed(() => psql(`\\copy copy_target from '${plain}' csv`)))
    console.log(
      `round ${round + 1}: import ${seconds(imports.at(-1))} s (${stages.join(', ')}), \\copy ${seconds(copies.at(-1))} s, speed ${(copies.at(-1) / imports.at(-1)).toFixed(2)} x`,
    )
  }
  console.log(
    `median: import ${seconds(median(imports))} s, \\copy ${seconds(median(copies))} s; speed ${(median(copies) / median(imports)).toFixed(2)} x that of \\copy`,
  )
  const children = await childrenOf(worker.pid)
  console.log(
    `peak memory in MB: API ${await peakMegabytes(api.process.pid)}, worker ${await peakMegabytes(worker.pid)}, its children ${(await Promise.all(children.map(peakMegabytes))).join(' and ')}`,
  )
})

/** A table with the columns, partitions and indexes of the one that imports fill. */
async function makeCopyTarget(pool) {
  await pool.query(
    'create table copy_target (like fact_production including all) partition by range (fecha_contabilizacion)',
  )
  const { rows } = await pool.query(
    `select format('create table %I partition of copy_target %s', 'copy_' || c.relname, pg_get_expr(c.relpartbound, c.oid)) as statement
     from pg_inherits join pg_class c on c.oid = inhrelid where inhparent = 'fact_production'::regclass`,
  )
  for (const { statement } of rows) await pool.query(statement)
}
