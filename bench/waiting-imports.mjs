// Measures whether imports cost more when many wait for the same days: so many are accepted at once, and all have to be
// completed. For each size the seconds, database transactions and processor time of the worker for one import; for files
// that are appended, and for files that replace the same day. The sizes in turn, beginning with the smallest.
//
//   node bench/waiting-imports.mjs [few=50] [many=1000] [rows=20]
//
// Needs a built tree (npm run build), and Linux.
import { allCompleted, fileOfDay } from './admissions.mjs'
import { givenNumbers } from './figures.mjs'
import { childrenOf, processorTime } from './processes.mjs'
import { onServices } from './services.mjs'

const [FEW = 50, MANY = 1000, ROWS = 20] = givenNumbers()

await onServices(async ({ addSystem }) => {
  for (const mode of ['append', 'replace-window']) {
    const costs = []
    for (const imports of [FEW, MANY]) costs.push(await measure(await addSystem(), mode, imports))
    const [few, many] = costs
    for (const [imports, cost] of [
      [FEW, few],
      [MANY, many],
    ])
      console.log(
        `${mode}, ${imports} at once: for one import ${cost.ms} ms, ${cost.transactions} transactions, ${cost.processor} ms processor of the worker`,
      )
    console.log(
      `${mode}: with ${MANY} at once one import takes ${(many.ms / few.ms).toFixed(2)} of the time, ${(many.transactions / few.transactions).toFixed(2)} of the transactions, ${(many.processor / few.processor).toFixed(2)} of the processor time`,
    )
  }
})

async function measure(system, mode, imports) {
  const accept = () => system.accept(fileOfDay('2024-01-02', ROWS), { dataset: 'production', mode })
  for (let n = 0; n < imports; n += 1) await accept()
  const { pool } = system.database
  const before = await transactionsOf(pool)
  const began = performance.now()
  const { pid } = await system.startWorker()
  await allCompleted(system.database)
  const ms = performance.now() - began
  const times = await Promise.all([pid, ...(await childrenOf(pid))].map(processorTime))
  const transactions = (await transactionsOf(pool)) - before
  for (const process of system.processes()) await process.stop()
  return {
    ms: Math.round(ms / imports),
    transactions: Math.round(transactions / imports),
    processor: Math.round(times.reduce((sum, one) => sum + one, 0) / imports),
  }
}

async function transactionsOf(pool) {
  const { rows } = await pool.query(
    'select xact_commit::float8 as n from pg_stat_database where datname = current_database()',
  )
  return rows[0].n
}
