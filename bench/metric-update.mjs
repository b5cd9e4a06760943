// One ProjectionUpdate of all days with 1,000 dependent metrics, from its acceptance until the last run has succeeded,
// through the outbox, Redis and the built-in runner: how long each part takes, in how many statements, and the whole
// against one hand-written aggregate query of the same rows.
//
//   node bench/metric-update.mjs [rows=2000000] [rounds=3] [metrics=1000]
//
// Needs a built tree (npm run build).
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { production } from '../packages/datasets/dist/shipped/production.js'
import { createDatabase, inTransaction } from '../packages/db/dist/database.js'
import { createPool } from '../packages/db/dist/pool.js'
import { saveMetrics } from '../packages/metrics/dist/registry/metrics.js'
import { saveSeries } from '../packages/metrics/dist/registry/series.js'
import { runnerQueue } from '../packages/metrics/dist/requests/runner-queue.js'
import { startRunner } from '../packages/metrics/dist/runner/runner.js'
import { acceptProjectionUpdate } from '../packages/metrics/dist/updates/accept.js'
import { startOutbox } from '../packages/outbox/dist/outbox.js'
import { createMetricQueue } from '../packages/queue/dist/metric-queue.js'
import { startMetricWorkers } from '../packages/queue/dist/metric-workers.js'
import { createLogger } from '../packages/runtime/dist/logger.js'
import { until } from '../packages/testkit/dist/until.js'
import { givenNumbers, median, seconds, timed } from './figures.mjs'
import {
  FEW_AGGREGATES,
  FROM,
  fillProduction,
  handWritten,
  mixOfMetrics,
  series,
  TO,
} from './production-metrics.mjs'
import { onServices } from './services.mjs'

const [ROWS = 2_000_000, ROUNDS = 3, METRICS = 1000] = givenNumbers()
const ALL = { from: FROM, to: TO }
const PATIENCE = { within: 600_000, what: 'all runs have succeeded' }

const logger = createLogger({ name: 'bench', level: 'warn', pretty: false })
const part = new AsyncLocalStorage()
/** Statements by part, and the milliseconds that their connection was busy for it. */
let parts = new Map()

await onServices(async ({ redis, own, addDatabase }) => {
  const { pool: ours, url } = await addDatabase()
  const pool = createPool({ url, max: 10, applicationName: 'worker', logger })
  pool.on('connect', watchStatements)
  const db = await own('the connections', createDatabase(pool), (database) => database.destroy())
  await inTransaction(db, async (tx) => {
    for (const { code, column } of series.values())
      await saveSeries(tx, { code, title: { en: code, es: code }, dataset: production.code, column }, null)
    await saveMetrics(tx, [...mixOfMetrics(METRICS).values()], null)
  })
  // Only now: metrics of days that are there ask for runs of their own.
  await fillProduction(ours, ROWS)
  const worker = await startWorker({ db, pool, url, redis, own })
  console.log(`${ROWS} rows, one update of all days, ${METRICS} metrics`)
  const times = { update: [], hand: [], jobs: [] }
  for (let round = 0; round < ROUNDS; round += 1) {
    times.hand.push(await timed(() => ours.query(handWritten(ALL, FEW_AGGREGATES))))
    await ours.query('truncate daily_metrics')
    parts = new Map()
    worker.handled = 0
    const began = performance.now()
    await part.run('decision', () => inTransaction(db, (tx) => acceptProjectionUpdate(tx, anUpdate())))
    await until(async () => (await succeeded(ours)) === METRICS * (round + 1), PATIENCE)
    times.update.push(performance.now() - began)
    await until(() => worker.handled === METRICS, { within: 60_000, what: 'all jobs have ended' })
    times.jobs.push(performance.now() - began)
    for (const [name, { statements, milliseconds }] of parts)
      console.log(`  ${name}: ${milliseconds.toFixed(0)} ms, ${statements} statements`)
    await ours.query('vacuum analyze daily_metrics, metric_runs, event_log, run_dataset_updates')
  }
  const [update, hand, jobs] = [times.update, times.hand, times.jobs].map(median)
  console.log(
    `all values in place after ${seconds(update)} s, the last job ended after ${seconds(jobs)} s; ${FEW_AGGREGATES.length} aggregates by hand ${seconds(hand)} s, ratio ${(update / hand).toFixed(1)}`,
  )
})

function anUpdate() {
  const eventKey = randomUUID()
  return { eventKey, dataset: production.code, occurredAt: new Date().toISOString(), days: [ALL], rows: ROWS }
}

async function succeeded(pool) {
  const { rows } = await pool.query(
    `select count(*)::integer as n from metric_runs where status = 'SUCCEEDED'`,
  )
  return rows[0].n
}

/** What a worker starts for metrics, with the settings that it has unless told otherwise. */
async function startWorker({ db, pool, url, redis, own }) {
  const queue = { redisUrl: redis.url, prefix: 'bench', logger }
  const state = { handled: 0 }
  await part.run('jobs, and the rest of the runner', async () => {
    const settings = { db, pool, logger, runner: 'bench', concurrency: 1 }
    const runner = startRunner(settings)
    const handler = async (payload, signal) => {
      const left = await runner.handle(payload, signal)
      state.handled += 1
      return left
    }
    const workers = startMetricWorkers({ ...queue, concurrency: 1, handler })
    await own('the runner', workers, () => Promise.all([runner.stop(), workers.close()]))
  })
  await part.run('delivery to the queue', async () => {
    const metricQueue = await own('the queue', createMetricQueue(queue), (made) => made.close())
    const destinations = [runnerQueue(metricQueue)]
    const outbox = startOutbox({ db, databaseUrl: url, destinations, logger })
    await own('the outbox', outbox, (started) => started.stop())
  })
  return state
}

/** Count the statements of a connection for the part that they belong to; transactions of the runner by what they do. */
function watchStatements(client) {
  const query = client.query.bind(client)
  let [name, since] = ['', performance.now()]
  const note = (statements) => {
    const noted = parts.get(name) ?? { statements: 0, milliseconds: 0 }
    const now = performance.now()
    parts.set(name, {
      statements: noted.statements + statements,
      milliseconds: noted.milliseconds + now - since,
    })
    since = now
  }
  let inTransaction = false
  client.query = (...args) => {
    const text = typeof args[0] === 'string' ? args[0] : args[0].text
    if (!inTransaction) since = performance.now()
    const next = partOf(text) ?? (inTransaction ? name : part.getStore())
    if (next !== name && inTransaction) note(0)
    name = next ?? 'other'
    if (/^begin|^start transaction/i.test(text)) inTransaction = true
    if (/^commit|^rollback/i.test(text)) inTransaction = false
    const answer = query(...args)
    answer?.then?.(
      () => note(1),
      () => note(1),
    )
    return answer
  }
}

function partOf(text) {
  if (text.includes('aduana metric claim')) return 'claim'
  if (text.startsWith('select pg_advisory_xact_lock($1, number)')) return 'computation'
  if (text.startsWith('select distinct metric_id from metric_runs'))
    return 'ending of runs and requests of more'
  return undefined
}
