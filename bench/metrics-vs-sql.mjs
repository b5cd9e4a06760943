// Computes 1,000 metrics over production after an update of all days and of a few, and compares the wall time with one
// hand-written aggregate query of the same rows: a small one (9 aggregates by day), and one with as many aggregates as
// the metrics need. All in turn, in one run, on one durable PostgreSQL. What happens around the computation is measured
// by metric-update.mjs.
//
//   node bench/metrics-vs-sql.mjs [rows=2000000] [rounds=3] [metrics=1000]
//
// Needs a built tree (npm run build).
import { randomUUID } from 'node:crypto'
import { computeMetrics } from '../packages/metric-compute/dist/compute/compute.js'
import { givenNumbers, median, seconds, timed } from './figures.mjs'
import {
  DAYS,
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
const FEW = { from: '2026-03-20', to: '2026-03-23' }

await onServices(async ({ addDatabase }) => {
  const definitions = [...mixOfMetrics(METRICS).values()]
  const { pool } = await addDatabase()
  await fillProduction(pool, ROWS)
  const runs = await registerRuns(pool, definitions)
  const many = asManyAggregates(definitions)
  console.log(`${ROWS} rows, ${DAYS} days, ${METRICS} metrics`)
  for (const [name, days] of [
    ['all days', ALL],
    ['3 days', FEW],
  ]) {
    const times = { metrics: [], again: [], small: [], large: [] }
    const byHand = (aggregates) => timed(() => pool.query(handWritten(days, aggregates)))
    const metricsOf = () => timed(() => compute(pool, runs, days))
    for (let round = 0; round < ROUNDS; round += 1) {
      times.small.push(await byHand(FEW_AGGREGATES))
      await pool.query('delete from daily_metrics where date <@ $1::daterange', [`[${days.from},${days.to})`])
      await pool.query('vacuum analyze daily_metrics')
      times.metrics.push(await metricsOf())
      times.again.push(await metricsOf())
      if (round > 0) continue
      let all = 0
      for (const part of many) all += await byHand(part)
      times.large.push(all)
    }
    const [metrics, again, small, large] = [times.metrics, times.again, times.small, times.large].map(median)
    console.log(
      `${name}: metrics ${seconds(metrics)} s (values as they were: ${seconds(again)} s); by hand: ${FEW_AGGREGATES.length} aggregates ${seconds(small)} s, ratio ${(metrics / small).toFixed(1)}; ${many.flat().length} aggregates ${seconds(large)} s, ratio ${(metrics / large).toFixed(2)}`,
    )
  }
  const { rows } = await pool.query(
    'select count(*) as values, count(distinct metric_name) as metrics from daily_metrics',
  )
  console.log(`values written: ${rows[0].values} of ${rows[0].metrics} metrics`)
})

/** Metrics with a run each, which their values name. */
async function registerRuns(pool, definitions) {
  const runs = definitions.map((definition) => ({ runId: randomUUID(), definition }))
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

async function compute(pool, runs, days) {
  const client = await pool.connect()
  try {
    await client.query('begin')
    const work = runs.map((run) => ({ ...run, days: [days], companies: null, warehouses: null }))
    await computeMetrics(client, { runs: work, series })
    await client.query('commit')
  } finally {
    client.release()
  }
}

/** The distinct aggregates of the metrics as somebody would write them by hand, in statements of at most 1,600. */
function asManyAggregates(definitions) {
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
  for (const { expression } of definitions) visit(expression)
  const all = [...distinct]
  return Array.from({ length: Math.ceil(all.length / 1600) }, (_, part) =>
    all.slice(part * 1600, (part + 1) * 1600),
  )
}
