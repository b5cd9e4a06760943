import { createHash } from 'node:crypto'
import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Job } from '@aduana/contracts/jobs'
import { ProblemError } from '@aduana/contracts/problems'
import { saveDatasetAs } from '@aduana/datasets/save/save-dataset'
import { saveMetricAs, saveSeriesAs } from '@aduana/metrics/commands'
import { DATASET_DEPENDENTS } from '@aduana/metrics/registry/dataset-dependents'
import { sample } from '@aduana/testkit/long'
import { undone } from '@aduana/testkit/undo'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import {
  BAD,
  columnOf,
  fileOf,
  type GeneratedCase,
  type GeneratedRow,
  generateCase,
  quote,
} from './testing/generated-definitions.ts'
import { createInProcessSystem, type InProcessSystem } from './testing/in-process-system.ts'

vi.setConfig({ testTimeout: 600_000 })

/** Some fixed seeds (in the long tests all of them), and one more that is random. */
const SEEDS = process.env.DEFINITION_SEEDS
  ? seedsOf(process.env.DEFINITION_SEEDS)
  : [...sample([4, 13, 15, 18, 34, 107], 2), Math.floor(Math.random() * 1e9)]

/** Hundreds of columns take a minute: only one such case runs unless seeds are given. */
const WIDEST = process.env.DEFINITION_SEEDS ? 990 : 40

function seedsOf(range: string): number[] {
  const [from = 0, to = from] = range.split('-').map(Number)
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

let system: InProcessSystem
beforeAll(async () => {
  system = await createInProcessSystem()
  await system.database.pool.query('create schema generated')
})
afterAll(() => system.close())

test.each(SEEDS)(
  'a definition that is accepted can be loaded, previewed, undone and measured (seed %i)',
  async (seed) => {
    const generated = generateCase(seed, WIDEST)
    for (const statement of generated.ddl) await system.database.pool.query(statement)
    const { definition, files } = generated
    const refused = await save(definition)
    if (refused) {
      // A definition may only be refused for one of these limits.
      for (const problem of refused) expect(problem).toMatch(/possible day|cannot be the version column/)
      if (process.env.DEFINITION_SEEDS)
        process.stderr.write(`seed ${seed} is refused: ${refused.join(' | ')}\n`)
      return
    }
    const [first, second] = files
    const metric = definition.windowColumn === undefined ? undefined : await saveMetric(generated)
    const before = await load(generated, first)
    await mustHold(generated, [...before.loaded])
    if (metric) await mustCount(generated, metric)

    const preview = await run(generated, second, { dryRun: 'true' })
    const after = await load(generated, second)
    expect(figures(preview)).toEqual(figures(after.job))
    await mustHold(
      generated,
      definition.loadMode === 'append'
        ? [...before.loaded, ...after.loaded]
        : definition.loadMode === 'upsert'
          ? merged(generated, before.loaded, after.loaded)
          : [...after.loaded],
    )

    await takeBack(generated, after.job)
    await mustHold(generated, [...before.loaded])
    await takeBack(generated, before.job)
    await mustHold(generated, [])
  },
)

test('a custom table accepts an upsert, with a bigint import_no, codes in a column named code, and a key of any length', async () => {
  const { pool } = system.database
  await pool.query(`create table generated.own (id bigint primary key, k text not null unique, code_id bigint,
      import_no bigint not null, record bigint not null, row_hash varchar not null, "a
b" text default 'x');
    create table dim_own (id bigint generated always as identity, code text not null unique, created_by_job uuid)`)
  const dimension = { table: 'dim_own', key: 'code', idColumn: 'code_id', onMissing: 'create' as const }
  const definition = {
    code: 'own',
    title: { en: 'Own', es: 'Propia' },
    table: { schema: 'generated', name: 'own' },
    columns: [
      { name: 'k', type: 'text' as const, required: true },
      { name: 'code', type: 'text' as const, dimension },
    ],
    loadMode: 'upsert' as const,
    key: ['k'],
    maxRejectRatio: 0.5,
  }
  expect(await save(definition)).toBeUndefined()
  const long = Array.from({ length: 100 }, (_, index) =>
    createHash('sha256').update(`${index}`).digest('hex'),
  ).join('')
  const held = async () =>
    (
      await pool.query(
        'select k, code from generated.own o left join dim_own d on d.id = o.code_id order by k',
      )
    ).rows
  const first = await system.import(`k,code\na,abc\nb,\n${long.slice(0, 4000)},abc\n`, { dataset: 'own' })
  expect(first).toMatchObject({ status: 'COMPLETED', counts: { loaded: 2, quarantined: 1 } })
  const rejects = await pool.query('select codes from quarantined_records where job_id = $1', [first.id])
  expect(rejects.rows).toEqual([{ codes: ['too_long'] }])
  const second = await system.import('k,code\na,def\nc,abc\n', { dataset: 'own' })
  expect(second).toMatchObject({ status: 'COMPLETED', counts: { inserted: 1, updated: 1 } })
  expect(await held()).toEqual([
    { k: 'a', code: 'def' },
    { k: 'b', code: null },
    { k: 'c', code: 'abc' },
  ])
  expect(await undone(system, second.id)).toMatchObject({ status: 'COMPLETED' })
  expect(await held()).toEqual([
    { k: 'a', code: 'abc' },
    { k: 'b', code: null },
  ])
  await system.import('k,code\na,ghi\n', { dataset: 'own' })
  expect(await undone(system, first.id, { unwind: true })).toMatchObject({ status: 'COMPLETED' })
  expect(await held()).toEqual([])
})

test.each([
  [
    'months, some of them made otherwise',
    'year',
    `create table generated.PART_year partition of generated.PART for values from ('2025-01-01') to ('2026-01-01')`,
  ],
  [
    'a partition for all other rows',
    'rest',
    'create table generated.PART_rest partition of generated.PART default',
  ],
])('a partitioned table with %s takes an upsert and a replacement', async (_, short, partition) => {
  const { pool } = system.database
  for (const loadMode of ['upsert', 'replace-window'] as const) {
    const name = `${short}_${loadMode.slice(0, 6)}_${'of_a_very_long_table_name_'.repeat(2)}`.slice(0, 55)
    await pool.query(`create table generated.${name} (id bigint, day date not null, k text not null, import_no integer, record bigint,
      row_hash text, twice bigint generated always as (id * 2) stored, primary key (id, day), unique (k, day)) partition by range (day)`)
    await pool.query(`create index on generated.${name} (k, id)`)
    await pool.query(partition.replaceAll('PART', name))
    const definition = {
      code: name,
      title: { en: 'Parts', es: 'Partes' },
      table: { schema: 'generated', name },
      columns: [
        { name: 'day', type: 'date' as const, required: true },
        { name: 'k', type: 'text' as const, required: true },
      ],
      loadMode,
      windowColumn: 'day',
      partitioned: true,
      ...(loadMode === 'upsert' ? { key: ['k', 'day'] as [string, ...string[]] } : {}),
    }
    expect(await save(definition)).toBeUndefined()
    for (const file of [
      'day,k\n2025-03-01,a\n2026-01-31,b\n2026-02-01,c\n',
      'day,k\n2026-02-01,c\n2026-02-02,d\n2026-04-01,e\n',
    ])
      expect(await system.import(file, { dataset: name })).toMatchObject({ status: 'COMPLETED' })
    const rows = await pool.query(`select string_agg(k, '' order by k) as k from generated.${name}`)
    expect(rows.rows).toEqual([{ k: 'abcde' }])
  }
})

/** Returns the error of PUT; undefined when it accepts. */
async function save(definition: GeneratedCase['definition']): Promise<string[] | undefined> {
  try {
    await saveDatasetAs(system.database.db, DATASET_DEPENDENTS, system.admin, definition.code, definition)
    return undefined
  } catch (error) {
    if (!(error instanceof ProblemError) || error.code !== 'invalid_dataset') throw error
    const { problems } = error.extra as { problems: { path: string; message: string }[] }
    return problems.map(({ path, message }) => `${path}: ${message}`)
  }
}

async function run(
  { definition, seed }: GeneratedCase,
  rows: readonly GeneratedRow[],
  form: Record<string, string> = {},
): Promise<Job> {
  const job = await system.import(fileOf(definition, rows), { dataset: definition.code, ...form })
  expect(job, `seed ${seed}: ${JSON.stringify(job.error)}`).toMatchObject({ status: 'COMPLETED' })
  return job
}

async function takeBack({ seed }: GeneratedCase, { id }: Job): Promise<void> {
  const job = await undone(system, id)
  expect(job, `seed ${seed}, undo: ${JSON.stringify(job.error)}`).toMatchObject({ status: 'COMPLETED' })
}

/** Imports a file and returns what was loaded. Only values that do not fit the table may be rejected. */
async function load(
  generated: GeneratedCase,
  rows: readonly GeneratedRow[],
): Promise<{ job: Job; loaded: GeneratedRow[] }> {
  const job = await run(generated, rows)
  const { pool } = system.database
  const rejects = await pool.query<{ record: string; codes: string[]; reasons: unknown }>(
    'select record, codes, reasons from quarantined_records where job_id = $1',
    [job.id],
  )
  const gone = new Set<number>()
  for (const { record, codes, reasons } of rejects.rows) {
    const row = rows[Number(record) - 1]
    const why = `seed ${generated.seed}, record ${record}: ${JSON.stringify(reasons)}`
    if (row && !isBad(row)) expect([codes, isLong(row)], why).toEqual([codes.map(() => 'too_long'), true])
    gone.add(Number(record))
  }
  const loaded = rows.filter((_, index) => !gone.has(index + 1))
  expect(job.counts).toMatchObject({ records: rows.length, duplicates: 0, quarantined: gone.size })
  return { job, loaded }
}

function isBad(row: GeneratedRow): boolean {
  return [...row.values()].some(({ text }) => text === BAD)
}

function isLong(row: GeneratedRow): boolean {
  return row.size > 250 || [...row.values()].some(({ text }) => text.length > 600)
}

function figures({ counts }: Job) {
  const { inserted, updated, unchanged, removed } = counts
  return { inserted, updated, unchanged, removed }
}

function merged(
  { definition }: GeneratedCase,
  before: readonly GeneratedRow[],
  after: readonly GeneratedRow[],
): GeneratedRow[] {
  const keyOf = (row: GeneratedRow) => (definition.key ?? []).map((name) => row.get(name)?.stored).join('|')
  if (definition.versionColumn !== undefined) return []
  return [...new Map([...before, ...after].map((row) => [keyOf(row), row])).values()]
}

/** Checks that the table contains exactly these rows. PostgreSQL compares the values. */
async function mustHold(generated: GeneratedCase, rows: readonly GeneratedRow[]): Promise<void> {
  const { definition, seed } = generated
  const { pool } = system.database
  const table = `generated.${quote(definition.table.name)}`
  const count = await pool.query<{ n: number }>(`select count(*)::int as n from ${table}`)
  if (definition.versionColumn !== undefined && definition.loadMode === 'upsert' && rows.length === 0) return
  expect(count.rows[0]?.n, `seed ${seed}: rows`).toBe(rows.length)
  const serial = definition.columns.find(({ name }) => name === 'id_of' || name === 'id_off')?.name ?? ''
  for (const row of rows) {
    const values: string[] = []
    const same = definition.columns.map((column) => {
      const { stored = null, zone } = row.get(column.name) ?? {}
      const name = `t.${quote(columnOf(column))}`
      if (stored === null) return `${name} is null`
      values.push(stored)
      const given = `$${values.length}::text`
      if (column.type === 'text' && column.dimension)
        return `exists (select from public.${quote(column.dimension.table)} dim where dim.id = ${name} and dim.${quote(column.dimension.key)} = ${given})`
      if (column.type === 'text') return `${name} = ${given}`
      if (zone !== undefined) return `${name} = ${given}::timestamp at time zone '${zone}'`
      return `${name} = ${given}::${column.type === 'decimal' || column.type === 'integer' ? 'numeric' : column.type === 'timestamp' ? 'timestamptz' : column.type}`
    })
    values.push(row.get(serial)?.stored ?? '')
    const found = await pool.query<Record<string, boolean | null>>(
      `select array_position(array[${same.join(', ')}], false) as wrong, array_position(array[${same.join(', ')}], null) as lost from ${table} t where t.${quote(serial)} = $${values.length}::text`,
      values,
    )
    expect(found.rows, `seed ${seed}, ${row.get(serial)?.stored}`).toContainEqual({ wrong: null, lost: null })
  }
}

/** Saves a metric with every aggregate that the columns allow. */
async function saveMetric({ definition, seed }: GeneratedCase): Promise<string> {
  const { db } = system.database
  const title = { en: 'x', es: 'x' }
  const parsed = DatasetDefinition.parse(definition)
  const columns = parsed.columns.slice(0, 12)
  await saveSeriesAs(db, system.admin, {
    code: `s${seed}.rows`,
    title,
    dataset: definition.code,
    column: null,
  })
  for (const [index, { name }] of columns.entries())
    await saveSeriesAs(db, system.admin, {
      code: `s${seed}.c${index}`,
      title,
      dataset: definition.code,
      column: name,
    })
  const asked = columns.flatMap(({ type }, index) => {
    const series = `s${seed}.c${index}`
    const count = { type: 'aggregate', op: 'count', series }
    const numeric = type === 'integer' || type === 'decimal'
    return [
      count,
      { type: 'aggregate', op: 'distinct', series },
      { ...count, series: `s${seed}.rows`, where: { op: 'present', series } },
      ...(numeric
        ? [
            { type: 'aggregate', op: 'sum', series },
            { type: 'aggregate', op: 'last', series },
            { type: 'aggregate', op: 'percentile', percentile: 0.5, series },
            { ...count, where: { op: '>', series, value: 1 } },
          ]
        : []),
      ...(type === 'text'
        ? [
            { ...count, where: { op: '=', series, value: "it's" } },
            { ...count, where: { op: '<', series, value: 'm' } },
          ]
        : []),
    ]
  })
  const zero = { type: 'constant', value: 0 }
  const rows = { type: 'aggregate', op: 'count', series: `s${seed}.rows` }
  const parts = asked.slice(0, 18).map((of) => ({
    type: 'arithmetic',
    op: 'multiply',
    of: [zero, { type: 'fallback', of, otherwise: zero }],
  }))
  await saveMetricAs(db, system.admin, `m${seed}.rows`, {
    title,
    grain: parsed.scope ? 'company' : 'total',
    expression: { type: 'arithmetic', op: 'add', of: [rows, ...parts] },
  })
  return `m${seed}.rows`
}

/** Checks that the metric counts the rows, and that no run of it has failed. */
async function mustCount({ definition, seed }: GeneratedCase, metric: string): Promise<void> {
  const { pool } = system.database
  await system.work()
  const runs = await pool.query<{ status: string; error: unknown }>(
    'select distinct r.status, r.error from metric_runs r join metrics m on m.id = r.metric_id where m.code = $1',
    [metric],
  )
  expect(runs.rows, `seed ${seed}`).toEqual([{ status: 'SUCCEEDED', error: null }])
  const counted = await pool.query(
    `select (select sum(value)::int from daily_metrics where metric_name = $1) as metric,
      (select count(*)::int from generated.${quote(definition.table.name)}) as rows`,
    [metric],
  )
  expect(counted.rows[0]?.metric, `seed ${seed}`).toBe(counted.rows[0]?.rows)
}
