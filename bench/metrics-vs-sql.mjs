// Computes 1,000 metrics over production after an update of all days and of a few, and compares the wall time with one
// hand-written aggregate query of the same rows: a small one (9 aggregates by day), and one with as many aggregates as
// the metrics need. All in turn, in one run, on one durable PostgreSQL. What happens around the computation is measured
// by metric-update.mjs.
//
//   node bench/metrics-vs-sql.mjs [rows=2000000] [rounds=3] [metrics=1000]
//
// Needs a built tree (npm run build).
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../apps/local/src/postgres.mjs'
import { migrate, readMigrations } from '../packages/db/dist/migrations.js'
import { createPool } from '../packages/db/dist/pool.js'
import { computeMetrics } from '../packages/metrics/dist/compute/compute.js'
import { createLogger } from '../packages/runtime/dist/logger.js'
import {
  DAYS,
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
const ALL = [{ from: FROM, to: TO }]
const FEW = [{ from: '2026-03-20', to: '2026-03-23' }]

const seconds = (milliseconds) => (milliseconds / 1000).toFixed(2)

const definitions = mixOfMetrics(METRICS)

const folder = await mkdtemp(join(tmpdir(), 'aduana-bench-'))
const logger = createLogger({ name: 'bench', level: 'warn', pretty: false })
const postgres = await startPostgres({ dir: join(folder, 'postgres'), durable: true })
const pool = createPool({ url: postgres.url, max: 2, applicationName: 'bench', logger })
try {
  await migrate(postgres.url, await readMigrations(), logger)
  await fillProduction(pool, ROWS)
  const runs = await registerRuns()
  const few = () => timed(() => compute(runs, FEW))
  const all = () => timed(() => compute(runs, ALL))
  console.log(`${ROWS} rows, ${DAYS} days, ${METRICS} metrics`)
  for (const [name, days, run] of [
    ['all days', ALL, all],
    ['3 days', FEW, few],
  ]) {
    const times = { metrics: [], again: [], small: [], large: [] }
    for (let round = 0; round < ROUNDS; round += 1) {
      times.small.push(await timed(() => pool.query(handWritten(days[0], FEW_AGGREGATES))))
      await pool.query('delete from daily_metrics where date <@ $1::daterange', [
        `[${days[0].from},${days[0].to})`,
      ])
      await pool.query('vacuum analyze daily_metrics')
      times.metrics.push(await run())
      times.again.push(await run())
      if (round === 0)
        times.large.push(
          await timed(async () => {
            for (const part of asManyAggregates()) await pool.query(handWritten(days[0], part))
          }),
        )
    }
    const [metrics, again, small, large] = [times.metrics, times.again, times.small, times.large].map(median)
    console.log(
      `${name}: metrics ${seconds(metrics)} s (values as they were: ${seconds(again)} s); by hand: ${FEW_AGGREGATES.length} aggregates ${seconds(small)} s, ratio ${(metrics / small).toFixed(1)}; ${asManyAggregates().flat().length} aggregates ${seconds(large)} s, ratio ${(metrics / large).toFixed(2)}`,
    )
  }
  const { rows } = await pool.query(
    'select count(*) as values, count(distinct metric_name) as metrics from daily_metrics',
  )
  console.log(`values written: ${rows[0].values} of ${rows[0].metrics} metrics`)
} finally {
  await pool.end()
  await postgres.stop()
  await rm(folder, { recursive: true, force: true })
}

/** Metrics with a run each, which their values name. */
async function registerRuns() {
  const runs = [...definitions.values()].map((definition) => ({ runId: randomUUID(), definition }))
  await pool.query(
    `with m as (insert into metrics (code, current_version) select code, 1 from unnest($1::text[]) code returning id, code),
      v as (insert into metric_versions (metric_id, version, definition, definition_sha256, expression_type, expression_json)
        select id, 1, '{}', repeat('0', 64), 'aggregate', '{}' from m)
    insert into metric_runs (id, metric_id, metric_version, as_of, status, cause, days, occurred_at, completed_at)
      select r.id, m.id, 1, current_date, 'SUCCEEDED', 'recompute', '{}', now(), now()
      from unnest($2::uuid[], $1::text[]) r (id, code) join m using (code)`,
    [runs.map(({ definition }) => definition.code), runs.map(({ runId }) => runId)],
  )
  return runs
}

async function compute(runs, days) {
  const client = await pool.connect()
  try {
    await client.query('begin')
    const work = runs.map((run) => ({ ...run, days, companies: null, warehouses: null }))
    await computeMetrics(client, { runs: work, series })
    await client.query('commit')
  } finally {
    client.release()
  }
}

/** The distinct aggregates of the metrics as somebody would write them by hand, in statements of at most 1,600. */
function asManyAggregates() {
  const distinct = new Set()
  const names = { maquina_codigo: 'maquina_id', maquinista_codigo: 'maquinista_id' }
  const condition = (where) =>
    where.op === 'all'
      ? where.of.map(condition).join(' and ')
      : where.series === 'maquina_codigo'
        ? `maquina_id = ${Number(where.value.slice(1))}`
        : `${where.series} ${where.op} '${where.value}'`
  const visit = (node) => {
    if (typeof node !== 'object' || node === null) return
    if (node.type !== 'aggregate') for (const child of Object.values(node)) visit(child)
    else {
      const column = node.series === 'rows' ? '*' : (names[node.series] ?? node.series)
      const filter = node.where ? ` filter (where ${condition(node.where)})` : ''
      if (node.op === 'distinct') distinct.add(`count(distinct ${column})${filter}`)
      else if (node.op === 'percentile')
        distinct.add(`percentile_cont(${node.percentile}) within group (order by ${column})${filter}`)
      else distinct.add(`${node.op}(${column})${filter}`)
    }
  }
  for (const { expression } of definitions.values()) visit(expression)
  const all = [...distinct]
  return Array.from({ length: Math.ceil(all.length / 1600) }, (_, part) =>
    all.slice(part * 1600, (part + 1) * 1600),
  )
}
