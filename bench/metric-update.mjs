// One ProjectionUpdate of all days with 1,000 dependent metrics, from its acceptance until the last run has succeeded,
// through the outbox, Redis and the built-in runner: how long each part takes, in how many statements, and the whole
// against one hand-written aggregate query of the same rows.
//
//   node bench/metric-update.mjs [rows=2000000] [rounds=3] [metrics=1000]
//
// Needs a built tree (npm run build).
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../apps/local/src/postgres.mjs'
import { startRedis } from '../apps/local/src/redis.mjs'
import { registerDatasets } from '../packages/datasets/dist/registry.js'
import { production } from '../packages/datasets/dist/shipped/production.js'
import { createDatabase, inTransaction } from '../packages/db/dist/database.js'
import { migrate, readMigrations } from '../packages/db/dist/migrations.js'
import { createPool } from '../packages/db/dist/pool.js'
import { startOutbox } from '../packages/metrics/dist/outbox/outbox.js'
import { runnerQueue } from '../packages/metrics/dist/outbox/runner-queue.js'
import { saveMetrics } from '../packages/metrics/dist/registry/metrics.js'
import { saveSeries } from '../packages/metrics/dist/registry/series.js'
import { startRunner } from '../packages/metrics/dist/runner/runner.js'
import { acceptProjectionUpdate } from '../packages/metrics/dist/updates/accept.js'
import { createMetricQueue } from '../packages/queue/dist/metric-queue.js'
import { startMetricWorkers } from '../packages/queue/dist/metric-workers.js'
import { createLogger } from '../packages/runtime/dist/logger.js'
import { until } from '../packages/testkit/dist/until.js'
import {
  FEW_AGGREGATES,
  FROM,
  fillProduction,
  handWritten,
  median,
  mixOfMetrics,
  series,
  TO,
  timed,
} from './production-metrics.mjs'

const ROWS = Number(process.argv[2] ?? 2_000_000)
const ROUNDS = Number(process.argv[3] ?? 3)
const METRICS = Number(process.argv[4] ?? 1000)
const ALL = { from: FROM, to: TO }
const PATIENCE = { within: 600_000, what: 'all runs have succeeded' }

const definitions = mixOfMetrics(METRICS)
const logger = createLogger({ name: 'bench', level: 'warn', pretty: false })
const part = new AsyncLocalStorage()
/** Statements by part, and the milliseconds that their connection was busy for it. */
let parts = new Map()

const folder = await mkdtemp(join(tmpdir(), 'aduana-bench-'))
const postgres = await startPostgres({ dir: join(folder, 'postgres'), durable: true })
const redis = await startRedis({ dir: join(folder, 'redis'), persistent: true })
const ours = createPool({ url: postgres.url, max: 2, applicationName: 'bench', logger })
const pool = createPool({ url: postgres.url, max: 10, applicationName: 'worker', logger })
pool.on('connect', watchStatements)
const db = createDatabase(pool)
const closing = []
try {
  await migrate(postgres.url, await readMigrations(), logger)
  await registerDatasets(db, [production])
  await inTransaction(db, async (tx) => {
    for (const { code, column } of series.values())
      await saveSeries(tx, { code, title: { en: code, es: code }, dataset: production.code, column }, null)
    await saveMetrics(tx, [...definitions.values()], null)
  })
  await fillProduction(ours, ROWS)
  const worker = startWorker()
  console.log(`${ROWS} rows, one update of all days, ${METRICS} metrics`)
  const times = { update: [], hand: [], jobs: [] }
  for (let round = 0; round < ROUNDS; round += 1) {
    times.hand.push(await timed(() => ours.query(handWritten(ALL, FEW_AGGREGATES))))
    await ours.query('truncate daily_metrics')
    parts = new Map()
    worker.handled = 0
    const began = performance.now()
    await part.run('decision', () => inTransaction(db, (tx) => acceptProjectionUpdate(tx, anUpdate())))
    await until(async () => (await succeeded()) === METRICS * (round + 1), PATIENCE)
    times.update.push(performance.now() - began)
    await until(() => worker.handled === METRICS, { within: 60_000, what: 'all jobs have ended' })
    times.jobs.push(performance.now() - began)
    for (const [name, { statements, milliseconds }] of parts)
      console.log(`  ${name}: ${milliseconds.toFixed(0)} ms, ${statements} statements`)
    await ours.query('vacuum analyze daily_metrics, metric_runs, event_log, run_dataset_updates')
  }
  const [update, hand, jobs] = [times.update, times.hand, times.jobs].map(median)
  console.log(
    `all values in place after ${(update / 1000).toFixed(2)} s, the last job ended after ${(jobs / 1000).toFixed(2)} s; ${FEW_AGGREGATES.length} aggregates by hand ${(hand / 1000).toFixed(2)} s, ratio ${(update / hand).toFixed(1)}`,
  )
} finally {
  for (const close of closing.toReversed()) await close()
  await db.destroy()
  await ours.end()
  await redis.stop()
  await postgres.stop()
  await rm(folder, { recursive: true, force: true })
}

function anUpdate() {
  const eventKey = randomUUID()
  return { eventKey, dataset: production.code, occurredAt: new Date().toISOString(), days: [ALL], rows: ROWS }
}

async function succeeded() {
  const { rows } = await ours.query(
    `select count(*)::integer as n from metric_runs where status = 'SUCCEEDED'`,
  )
  return rows[0].n
}

/** What a worker starts for metrics, with the settings that it has unless told otherwise. */
function startWorker() {
  const queue = { redisUrl: redis.url, prefix: 'bench', logger }
  const state = { handled: 0 }
  part.run('jobs, and the rest of the runner', () => {
    const runner = startRunner({ db, pool, logger, runner: 'bench', concurrency: 1 })
    const handler = async (payload, signal) => {
      const left = await runner.handle(payload, signal)
      state.handled += 1
      return left
    }
    const workers = startMetricWorkers({ ...queue, concurrency: 1, handler })
    closing.push(() => Promise.all([runner.stop(), workers.close()]))
  })
  part.run('delivery to the queue', () => {
    const metricQueue = createMetricQueue(queue)
    const destinations = [runnerQueue(metricQueue)]
    const outbox = startOutbox({ db, databaseUrl: postgres.url, destinations, logger })
    closing.push(async () => {
      await outbox.stop()
      await metricQueue.close()
    })
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
