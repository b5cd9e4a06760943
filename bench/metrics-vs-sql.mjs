// Computes 1,000 metrics over production after an update of all days and of a few, and compares the wall time with one
// hand-written aggregate query of the same rows: a small one (9 aggregates by day), and one with as many aggregates as
// the metrics need. All in turn, in one run, on one durable PostgreSQL.
//
//   node bench/metrics-vs-sql.mjs [rows=2000000] [rounds=3] [metrics=1000]
//
// Needs a built tree (npm run build).
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '../apps/local/src/postgres.mjs'
import { MetricDefinition } from '../packages/contracts/dist/metrics/definition.js'
import { production } from '../packages/datasets/dist/shipped/production.js'
import { migrate, readMigrations } from '../packages/db/dist/migrations.js'
import { createPool } from '../packages/db/dist/pool.js'
import { computeMetrics } from '../packages/metrics/dist/compute/compute.js'
import { validateExpression } from '../packages/metrics/dist/expressions/validate.js'
import { createLogger } from '../packages/runtime/dist/logger.js'

const ROWS = Number(process.argv[2] ?? 2_000_000)
const ROUNDS = Number(process.argv[3] ?? 3)
const METRICS = Number(process.argv[4] ?? 1000)
const [FROM, DAYS, MACHINES, OPERATORS] = ['2026-01-01', 90, 200, 400]
const ALL = [{ from: FROM, to: '2026-04-01' }]
const FEW = [{ from: '2026-03-20', to: '2026-03-23' }]

const SMALL = [
  'count(*)',
  'sum(cantidad)',
  'avg(cantidad)',
  'min(cantidad)',
  'max(cantidad)',
  'sum(peso_neto)',
  'avg(peso_neto)',
  'min(peso_neto)',
  'max(peso_neto)',
]

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
const seconds = (milliseconds) => (milliseconds / 1000).toFixed(2)

const series = new Map(
  ['rows', ...production.columns.map(({ name }) => name)].map((name) => [
    name,
    { code: name, datasetId: 'production', definition: production, column: name === 'rows' ? null : name },
  ]),
)

/** A mix: machines, shifts, materials and weights; ratios, windows, distinct counts, medians, metrics of metrics. */
function definitionOf(index) {
  const machine = {
    op: '=',
    series: 'maquina_codigo',
    value: `M${String(1 + ((index + 7 * Math.floor(index / 20)) % MACHINES)).padStart(3, '0')}`,
  }
  const shift = { op: '=', series: 'turno', value: 1 + (index % 3) }
  const material = { op: '=', series: 'material', value: `MAT-${index % 10}` }
  const both = { op: 'all', of: [machine, shift] }
  const of = (op, name, where, more = {}) => ({ type: 'aggregate', op, series: name, where, ...more })
  const sum = of('sum', 'cantidad', machine)
  const kinds = [
    () => sum,
    () => of('sum', 'peso_neto', machine),
    () => of('avg', 'peso_neto', both),
    () => of('max', 'cantidad', both),
    () => of('count', 'rows', machine),
    () => of('distinct', 'maquinista_codigo', machine),
    () => of('sum', 'peso_neto', { op: '>', series: 'peso_neto', value: 10 * (index % 4) }),
    () => of('sum', 'cantidad', material),
    () => ({ type: 'ratio', of: of('sum', 'peso_neto', machine), by: sum, onZero: 'missing', times: 1000 }),
    () => ({ type: 'ratio', of: of('sum', 'cantidad', both), by: sum, onZero: 'zero', times: 100 }),
    () => ({ type: 'arithmetic', op: 'subtract', of: [sum, of('sum', 'cantidad', both)] }),
    () => ({ type: 'rolling', op: 'sum', of: sum, days: 7, minDays: 1 }),
    () => ({ type: 'rolling', op: 'avg', of: of('sum', 'peso_neto', machine), days: 28, minDays: 3 }),
    () => ({ type: 'cumulative', op: 'sum', of: sum, reset: 'month' }),
    () => ({ type: 'growth', of: of('count', 'rows', machine), days: 7, as: 'percent', onZero: 'missing' }),
    () => ({
      type: 'growth',
      of: { type: 'rolling', op: 'sum', of: sum, days: 7, minDays: 1 },
      days: 7,
      as: 'percent',
      onZero: 'missing',
    }),
    () => ({
      type: 'conditional',
      when: { op: '>', left: sum, right: { type: 'constant', value: 5000 } },
      value: sum,
      otherwise: { type: 'constant', value: 0 },
    }),
    () => ({ type: 'fallback', of: of('min', 'peso_neto', both), otherwise: { type: 'constant', value: 0 } }),
    () => of('percentile', 'peso_neto', shift, { percentile: 0.5 + (index % 5) / 10 }),
    () =>
      index < 20
        ? sum
        : {
            type: 'ratio',
            of: { type: 'metric', metric: `m${index - 19}` },
            by: { type: 'metric', metric: `m${index - 18}` },
            onZero: 'missing',
            times: 1,
          },
  ]
  return MetricDefinition.parse({
    code: `m${index}`,
    title: { en: `m${index}`, es: `m${index}` },
    expression: kinds[index % kinds.length](),
  })
}

const definitions = new Map()
for (let index = 0; index < METRICS; index += 1) definitions.set(`m${index}`, definitionOf(index))
for (const definition of definitions.values()) {
  const problems = validateExpression(definition, { series, metrics: definitions })
  if (problems.length > 0) throw new Error(JSON.stringify(problems))
}

const folder = await mkdtemp(join(tmpdir(), 'aduana-bench-'))
const logger = createLogger({ name: 'bench', level: 'warn', pretty: false })
const postgres = await startPostgres({ dir: join(folder, 'postgres'), durable: true })
const pool = createPool({ url: postgres.url, max: 2, applicationName: 'bench', logger })
try {
  await migrate(postgres.url, await readMigrations(), logger)
  await fill()
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
      times.small.push(await timed(() => pool.query(handWritten(days, SMALL))))
      await pool.query('delete from daily_metrics where date <@ $1::daterange', [
        `[${days[0].from},${days[0].to})`,
      ])
      await pool.query('vacuum analyze daily_metrics')
      times.metrics.push(await run())
      times.again.push(await run())
      if (round === 0)
        times.large.push(
          await timed(async () => {
            for (const part of asManyAggregates()) await pool.query(handWritten(days, part))
          }),
        )
    }
    const [metrics, again, small, large] = [times.metrics, times.again, times.small, times.large].map(median)
    console.log(
      `${name}: metrics ${seconds(metrics)} s (values as they were: ${seconds(again)} s); by hand: ${SMALL.length} aggregates ${seconds(small)} s, ratio ${(metrics / small).toFixed(1)}; ${asManyAggregates().flat().length} aggregates ${seconds(large)} s, ratio ${(metrics / large).toFixed(2)}`,
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

async function fill() {
  for (const month of ['01', '02', '03'])
    await pool.query(
      `create table p_${month} partition of fact_production for values from ('2026-${month}-01') to ('2026-0${Number(month) + 1}-01')`,
    )
  await pool.query(
    `insert into dim_maquina (codigo) select 'M' || lpad(n::text, 3, '0') from generate_series(1, ${MACHINES}) n`,
  )
  await pool.query(
    `insert into dim_maquinista (codigo) select 'W' || lpad(n::text, 4, '0') from generate_series(1, ${OPERATORS}) n`,
  )
  // In the order in which a load writes: by day and machine.
  await pool.query(`select setseed(0.5)`)
  await pool.query(`insert into fact_production
    select n, date '${FROM}' + (n * ${DAYS}::bigint / ${ROWS})::integer,
      1 + (n * ${DAYS}::bigint * ${MACHINES} / ${ROWS}) % ${MACHINES}, 1 + floor(random() * ${OPERATORS}),
      1 + floor(random() * 3), 'MAT-' || floor(random() * 30), 'L' || n, floor(random() * 200),
      round((random() * 50)::numeric, 3), null
    from generate_series(0, ${ROWS} - 1) n`)
  await pool.query('vacuum analyze fact_production')
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

async function timed(work) {
  const began = performance.now()
  await work()
  return performance.now() - began
}

function handWritten([{ from, to }], aggregates) {
  return `select fecha_contabilizacion, ${aggregates.join(', ')} from fact_production
    where fecha_contabilizacion >= '${from}' and fecha_contabilizacion < '${to}' group by fecha_contabilizacion`
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
