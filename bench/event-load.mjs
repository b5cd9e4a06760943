// A load test with many events: dataset updates and what runners outside say, shuffled, one in twenty sent twice, over SQS
// into real workers. Says how many are taken in a second, and fails when anything is lost, doubled or left over.
//
//   node bench/event-load.mjs [events=10000] [workers=1]
//
// Half are updates of two datasets with the metrics that come with the program; half are started, two heartbeats and
// completed of runs of metrics that are computed outside. Needs a built tree (npm run build).
import { randomUUID } from 'node:crypto'
import { inTransaction } from '../packages/db/dist/database.js'
import { saveMetrics } from '../packages/metrics/dist/registry/metrics.js'
import { saveSeries } from '../packages/metrics/dist/registry/series.js'
import { acceptProjectionUpdate } from '../packages/metrics/dist/updates/accept.js'
import { until } from '../packages/testkit/dist/until.js'
import { SendMessageBatchCommand, sendInBatches, startMessaging } from './emulator.mjs'
import { givenNumbers, seconds } from './figures.mjs'
import { onServices } from './services.mjs'

const [EVENTS = 10_000, WORKERS = 1] = givenNumbers()
const RUNS = Math.floor(EVENTS / 8)
const UPDATES = EVENTS - RUNS * 4
const WITHIN = 1_800_000

const UNSENT = 'select from event_log where outbound and sent_at is null'
const AT_WORK = `select from metric_runs where status in ('PENDING', 'REQUESTED', 'RUNNING', 'TIMED_OUT')
  union all ${UNSENT}`
const COMMITS = 'select xact_commit as value from pg_stat_database where datname = current_database()'

await onServices(async ({ own, addSystem }) => {
  const { messaging, settings } = await startMessaging(own)
  const system = await addSystem({ metrics: true, settings })
  const { pool } = system.database
  const value = async (sql) => Number((await pool.query(sql)).rows[0]?.value)
  const none = (what, sql) =>
    until(async () => (await value(`select count(*) as value from (${sql}) s`)) === 0, {
      within: WITHIN,
      what,
    })

  // A worker registers what comes with the program, and sends the requests; then it goes, and the events come.
  const first = await system.startWorker({ ADUANA_SQS_QUEUE_URLS: '' })
  const events = eventsOf(await askForRuns(system.database))
  await none('the requests have left', UNSENT)
  await first.stop()
  await send(messaging, events)
  const statements = await value(COMMITS)
  await Promise.all(Array.from({ length: WORKERS }, () => system.startWorker()))
  const began = performance.now()
  const empty = async () => (await messaging.size(messaging.queueUrl)) === 0
  await until(empty, { within: WITHIN, what: 'the queue is empty' })
  const taken = performance.now() - began
  await none('all has settled', AT_WORK)
  const settled = performance.now() - began
  await pool.query('select pg_stat_clear_snapshot()')
  const commits = (await value(COMMITS)) - statements
  const problems = await wrong(value, messaging)
  const count = events.length
  console.log(
    `${count} events, ${WORKERS} ${WORKERS === 1 ? 'worker' : 'workers'}: ${Math.round((count / taken) * 1000)} events/s (${seconds(taken, 1)} s), all settled after ${seconds(settled, 1)} s, ${(commits / count).toFixed(2)} commits an event`,
  )
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exitCode = 1
})

/** The metrics that are computed outside, each with a run that has been asked for. */
async function askForRuns({ db, pool }) {
  const metrics = Array.from({ length: RUNS }, (_, at) => ({
    code: `bench.m${at}`,
    title: { en: 'bench', es: 'bench' },
    runner: 'external',
    startSeconds: 3600,
    heartbeatSeconds: 3600,
    expression: { type: 'aggregate', op: 'count', series: 'bench.rows' },
  }))
  const series = { code: 'bench.rows', title: { en: 'bench', es: 'bench' }, dataset: 'dkt', column: null }
  await inTransaction(db, (tx) => saveSeries(tx, series, null))
  await inTransaction(db, (tx) => saveMetrics(tx, metrics, null))
  const days = [{ from: '2026-03-09', to: '2026-03-10' }]
  await inTransaction(db, (tx) =>
    acceptProjectionUpdate(tx, {
      eventKey: 'first',
      dataset: 'dkt',
      occurredAt: new Date().toISOString(),
      days,
      rows: 1,
    }),
  )
  const { rows } = await pool.query(
    `select r.id from metric_runs r join metrics m on m.id = r.metric_id where m.code like 'bench.m%'`,
  )
  if (rows.length !== RUNS) throw new Error(`${rows.length} runs in place of ${RUNS}`)
  return rows.map(({ id }) => id)
}

function eventsOf(runs) {
  const at = new Date().toISOString()
  const days = (n) => {
    const day = (more) => new Date(Date.UTC(2024, 0, 1 + (n % 700) + more)).toISOString().slice(0, 10)
    return [{ from: day(0), to: day(1) }]
  }
  const ofRuns = runs.flatMap((runId) => {
    const own = { runId, attempt: 1, at }
    return [
      ['aduana.metric_run.started', { ...own, runner: 'bench' }],
      ['aduana.metric_run.heartbeat', { ...own, progress: 0.3 }],
      ['aduana.metric_run.heartbeat', { ...own, progress: 0.6 }],
      ['aduana.metric_run.completed', { ...own, status: 'succeeded', rowCount: 1, days: days(0) }],
    ]
  })
  const updates = Array.from({ length: UPDATES }, (_, n) => [
    'aduana.projection.updated',
    {
      eventKey: `load ${n}`,
      dataset: n % 2 === 0 ? 'orders' : 'production',
      occurredAt: at,
      days: days(n),
      rows: 1,
    },
  ])
  const all = [...ofRuns, ...updates]
  return shuffled([...all, ...all.filter((_, n) => n % 20 === 0)])
}

function shuffled(items) {
  for (let at = items.length - 1; at > 0; at -= 1) {
    const other = Math.floor(Math.random() * (at + 1))
    ;[items[at], items[other]] = [items[other], items[at]]
  }
  return items
}

async function send({ sqs, queueUrl }, events) {
  const bodies = events.map(([type, data]) =>
    JSON.stringify({ specversion: '1.0', id: randomUUID(), source: '/bench', type, data }),
  )
  await sendInBatches(bodies, 4, (batch) => {
    const Entries = batch.map((MessageBody, n) => ({ Id: String(n), MessageBody }))
    return sqs.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries }))
  })
}

/** What is not as it must be. */
async function wrong(value, messaging) {
  const counts = {
    'updates that are missing or there twice': [
      `select count(*) as value from dataset_updates where event_key like 'load %'`,
      UPDATES,
    ],
    'runs outside that did not succeed once': [
      `select count(*) as value from (select from event_log where type = 'metric_run.succeeded'
        and body ->> 'metric' like 'bench.m%' group by body ->> 'runId' having count(*) = 1) s`,
      RUNS,
    ],
    'runs that did not succeed': [`select count(*) as value from metric_runs where status <> 'SUCCEEDED'`, 0],
    'refused messages': [`select count(*) as value from event_log where type = 'message.refused'`, 0],
  }
  const found = []
  for (const [what, [sql, wanted]] of Object.entries(counts)) {
    const got = await value(sql)
    if (got !== wanted) found.push(`${what}: ${got} in place of ${wanted}`)
  }
  const dead = await messaging.size(messaging.deadLetterUrl)
  return dead === 0 ? found : [...found, `${dead} dead letters`]
}
