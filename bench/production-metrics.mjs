// What the benches of metrics have in common: production rows, and a mix of metrics over them.
import { MetricDefinition } from '../packages/contracts/dist/metrics/definition.js'
import { production } from '../packages/datasets/dist/shipped/production.js'
import { validateExpression } from '../packages/metric-compute/dist/expressions/validate.js'

export const [FROM, TO, DAYS] = ['2026-01-01', '2026-04-01', 90]
const [MACHINES, OPERATORS] = [200, 400]

/** The series of production, by code: one for each column, and the rows. */
export const series = new Map(
  ['rows', ...production.columns.map(({ name }) => name)].map((name) => [
    name,
    { code: name, datasetId: 'production', definition: production, column: name === 'rows' ? null : name },
  ]),
)

/** What somebody would ask of the table by hand: a few aggregates by day. */
export const FEW_AGGREGATES = [
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

/** SQL of aggregates by day over some days. */
export function handWritten({ from, to }, aggregates) {
  return `select fecha_contabilizacion, ${aggregates.join(', ')} from fact_production
    where fecha_contabilizacion >= '${from}' and fecha_contabilizacion < '${to}' group by fecha_contabilizacion`
}

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

/** So many metrics, by code. */
export function mixOfMetrics(count) {
  const definitions = new Map()
  for (let index = 0; index < count; index += 1) definitions.set(`m${index}`, definitionOf(index))
  for (const definition of definitions.values()) {
    const problems = validateExpression(definition, { series, metrics: definitions })
    if (problems.length > 0) throw new Error(JSON.stringify(problems))
  }
  return definitions
}

/** Fill the table with rows, in the order in which a load writes: by day and machine. */
export async function fillProduction(pool, rows) {
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
  await pool.query(`select setseed(0.5)`)
  await pool.query(`insert into fact_production
    select n, date '${FROM}' + (n * ${DAYS}::bigint / ${rows})::integer,
      1 + (n * ${DAYS}::bigint * ${MACHINES} / ${rows}) % ${MACHINES}, 1 + floor(random() * ${OPERATORS}),
      1 + floor(random() * 3), 'MAT-' || floor(random() * 30), 'L' || n, floor(random() * 200),
      round((random() * 50)::numeric, 3), null
    from generate_series(0, ${rows} - 1) n`)
  await pool.query('vacuum analyze fact_production')
}
