import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { LoadPreview } from '@aduana/contracts/load-preview'
import { registerDatasets } from '@aduana/datasets/registry'
import { production } from '@aduana/datasets/shipped/production'
import { readPreview } from '@aduana/jobs/lifecycle/approve'
import { LONG } from '@aduana/testkit/long'
import { createRandom, type Random } from '@aduana/testkit/random'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createInProcessSystem, type InProcessSystem } from '../../testing/in-process-system.ts'

const ROUNDS = LONG ? 5 : 2

// The same table without unique columns: rows are matched by all of their values.
const { unique: _, ...bagged } = production
const bag = DatasetDefinition.parse({ ...bagged, code: 'bag' })

let system: InProcessSystem
beforeAll(async () => {
  system = await createInProcessSystem()
  await registerDatasets(system.database.db, [bag])
})
afterAll(() => system.close())

const TEXTS = [
  '',
  'a',
  'a "b"',
  "it's",
  'c;d,e',
  'two\nlines',
  'cr\r\nlf',
  '\\N',
  'NULL',
  'ñandú 漢字 🚀',
  '""',
] as const
const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`
const two = (value: number) => String(value).padStart(2, '0')

/** Returns records of a file of production, without its header. */
function productionLines(
  at: Random,
  rows: number,
  texts: typeof TEXTS | readonly [string] = TEXTS,
): string[] {
  return Array.from({ length: rows }, () =>
    [
      `2024-01-${two(28 + at.below(4))}`,
      `M00${at.below(3)}`,
      `W000${at.below(2)}`,
      at.pick(['1', '2']),
      quoted(at.pick(texts)),
      `L${at.below(6)}`,
      at.below(4),
      at.pick(['1,5', '1,500', '2', '99999999,125']),
      quoted(at.pick(texts)),
    ].join(';'),
  )
}

function productionFile(lines: readonly string[]): string {
  const header =
    'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'
  return `${header}\n${lines.join('\n')}\n`
}

function ordersFile(at: Random, rows: number): string {
  const lines = Array.from({ length: rows }, () =>
    [
      `O${at.below(40)}`,
      quoted(at.pick(TEXTS)),
      `2024-05-0${1 + at.below(4)} ${two(at.below(24))}:30:00`,
      '',
      at.pick(['', '1', '2', '2147483647']),
      'North',
      'W1',
      `2024-06-01 0${at.below(9)}:00:00`,
    ].join(','),
  )
  return `order_id,order_type,timestamp,customer_id,items_count,company,warehouse,source_modified_timestamp\n${lines.join('\n')}\n`
}

function cardsFile(at: Random, rows: number): string {
  const lines = Array.from({ length: rows }, () =>
    [
      `2024-05-0${1 + at.below(3)}`,
      `T${at.below(5)}`,
      `CC${at.below(2)}`,
      '1',
      at.pick(['1', '2,5', '8,25']).replace(/.*/, quoted),
      at.pick(['', '0.25']),
    ].join(','),
  )
  return `fecha,trabajador_codigo,centro_costo,turno,horas_ordinarias,horas_extra\n${lines.join('\n')}\n`
}

interface Target {
  /** The rows as in the source: codes instead of ids, without lineage. */
  rows: string
  day: string
  key: string | null
  sums: readonly string[]
}

const PRODUCTION_ROWS = `select f.fecha_contabilizacion, m.codigo as maquina, w.codigo as maquinista, turno, material, lote, cantidad, peso_neto, observacion
  from fact_production f join dim_maquina m on m.id = f.maquina_id join dim_maquinista w on w.id = f.maquinista_id`
const TARGETS = {
  production: {
    rows: PRODUCTION_ROWS,
    day: 'fecha_contabilizacion',
    key: 'fecha_contabilizacion, maquina, turno, lote',
    sums: ['cantidad', 'peso_neto'],
  },
  bag: {
    rows: PRODUCTION_ROWS,
    day: 'fecha_contabilizacion',
    key: null,
    sums: ['cantidad', 'peso_neto'],
  },
  orders: {
    rows: 'select order_id, order_type, timestamp, customer_id, items_count, company, warehouse, source_modified_timestamp from order_detail',
    day: `(timestamp at time zone 'America/Bogota')::date`,
    key: 'order_id',
    sums: ['items_count'],
  },
  dkt: {
    rows: 'select fecha, trabajador_codigo, centro_costo, turno, horas_ordinarias, horas_extra, horas_nocturnas, horas_festivas from resumen_tarjeta',
    day: 'fecha',
    key: null,
    sums: ['horas_ordinarias', 'horas_extra', 'horas_nocturnas', 'horas_festivas'],
  },
} satisfies Record<string, Target>

async function query<T>(text: string): Promise<T[]> {
  return (await system.database.pool.query(text)).rows
}

/** Returns the changes of a table since it was copied to `kept`, by plain SQL. */
async function whatHappened(target: Target, days: readonly string[]) {
  const { rows, day, key, sums } = target
  await query('drop table if exists now_rows')
  await query(`create table now_rows as ${rows}`)
  const list = days.map((date) => `date '${date}'`).join(', ') || 'null::date'
  const changes = key
    ? `select ${day}::text as day, count(*) filter (where state = 'inserted')::int as inserted,
         count(*) filter (where state = 'changed')::int as changed, count(*) filter (where state = 'removed')::int as removed
       from (select n.*, case when o.there is null then 'inserted' when n.whole is distinct from o.whole then 'changed' else 'same' end as state
             from (select *, t::text as whole from now_rows t) n
             left join (select ${key}, t::text as whole, true as there from kept t) o using (${key})
             union all select o.*, 'removed' from (select *, t::text as whole from kept t) o
               where not exists (select from now_rows n where (${key
                 .split(', ')
                 .map((name) => `n.${name}`)
                 .join(', ')}) = (${key
                 .split(', ')
                 .map((name) => `o.${name}`)
                 .join(', ')}))) s
       where state <> 'same' group by 1 order by 1`
    : `select ${day}::text as day, count(*) filter (where came)::int as inserted, 0 as changed, count(*) filter (where not came)::int as removed
       from (select *, true as came from (select * from now_rows except all select * from kept) a
             union all select *, false from (select * from kept except all select * from now_rows) b) s group by 1 order by 1`
  const sum = (table: string) =>
    query<Record<string, string>>(
      `select count(*)::text as rows, ${sums.map((name) => `coalesce(sum(${name}), 0)::numeric::text as ${name}`).join(', ')} from ${table} where ${day} in (${list})`,
    )
  return {
    changes: await query<Record<string, unknown>>(changes),
    before: (await sum('kept'))[0],
    after: (await sum('now_rows'))[0],
  }
}

const plain = (decimal: string | undefined) =>
  (decimal ?? '').replace(/\.(\d*?)0+$/, '.$1').replace(/\.$/, '')

/** Returns the warnings about stored rows. */
const MET = ['rows_already_present', 'same_version']

/** Returns how many new rows equal rows in `kept`, each at most as often as it was there. */
async function equalToKept(): Promise<number> {
  await query('drop table if exists came')
  await query('create table came as select * from now_rows except all select * from kept')
  const found = await query<{ rows: number }>(
    'select count(*)::int as rows from (select * from came intersect all select * from kept) x',
  )
  return found[0]?.rows ?? 0
}

/** Returns how many orders have new values but the same version. */
async function changedInVersion(): Promise<number> {
  const found = await query<{ rows: number }>(
    `select count(*)::int as rows from now_rows n join kept k using (order_id, source_modified_timestamp)
     where n::text <> k::text`,
  )
  return found[0]?.rows ?? 0
}

async function check(
  dataset: keyof typeof TARGETS,
  content: string,
  form: Record<string, string>,
): Promise<LoadPreview> {
  const target = TARGETS[dataset]
  await query('drop table if exists kept')
  await query(`create table kept as ${target.rows}`)
  const all = { dataset, force: 'true', ...form }
  const dry = await system.import(content, { ...all, dryRun: 'true' })
  expect(dry).toMatchObject({ status: 'COMPLETED', error: null })
  const { preview } = await readPreview(system.database.db, system.admin, dry.id)
  const real = await system.import(content, all)
  expect(real).toMatchObject({ status: 'COMPLETED', counts: dry.counts, warnings: dry.warnings })
  const { alreadyPresent, sameVersion } = preview
  expect(real.warnings.filter(({ code }) => MET.includes(code)).map(({ count }) => count)).toEqual(
    [alreadyPresent, sameVersion.rows].filter((rows) => rows > 0),
  )
  const found = await whatHappened(
    target,
    preview.days.flatMap(({ day }) => day ?? []),
  )
  if (preview.mode === 'append') expect(alreadyPresent).toBe(await equalToKept())
  if (preview.mode === 'upsert') expect(sameVersion.rows).toBe(await changedInVersion())
  expect(
    preview.days
      .filter(({ inserted, changed, removed }) => inserted + changed + removed > 0)
      .map(({ day, inserted, changed, removed }) => ({ day, inserted, changed, removed })),
  ).toEqual(found.changes)
  expect({ before: String(preview.rows.before), after: String(preview.rows.after) }).toEqual({
    before: found.before?.rows,
    after: found.after?.rows,
  })
  for (const { column, before, after } of preview.sums)
    expect([column, plain(before), plain(after)]).toEqual([
      column,
      plain(found.before?.[column]),
      plain(found.after?.[column]),
    ])
  expect(preview.sums.map(({ column }) => column)).toEqual(target.sums)
  return preview
}

/** Sums previewed changes, so that a test can check that every kind occurred. */
function tally() {
  const seen: LoadPreview['totals'] = { inserted: 0, changed: 0, unchanged: 0, removed: 0 }
  return {
    seen,
    add: ({ totals }: LoadPreview) => {
      seen.inserted += totals.inserted
      seen.changed += totals.changed
      seen.unchanged += totals.unchanged
      seen.removed += totals.removed
    },
  }
}

const rounds = Array.from({ length: ROUNDS }, (_unused, index) => index + 1)

test('a replace changes each day as its preview showed, matched by the unique columns', async () => {
  const { seen, add } = tally()
  let lines: string[] = []
  for (const seed of rounds) {
    const at = createRandom(seed)
    // Some of the records are repeated unchanged.
    lines = [...lines.filter(() => at.below(2) === 0), ...productionLines(at, 20 + at.below(40))]
    const form: Record<string, string> = seed % 3 === 0 ? { from: '2024-01-28', to: '2024-02-01' } : {}
    const preview = await check('production', productionFile(lines), form)
    const { totals, rows } = preview
    add(preview)
    expect(totals.unchanged + totals.changed + totals.removed).toBe(rows.before)
    expect(totals.unchanged + totals.changed + totals.inserted).toBe(rows.after)
  }
  expect(Math.min(seen.inserted, seen.changed, seen.unchanged, seen.removed)).toBeGreaterThan(0)
}, 240_000)

test('a replace changes rows without unique columns as its preview showed', async () => {
  await query('truncate fact_production')
  const { seen, add } = tally()
  for (const seed of rounds) {
    const at = createRandom(seed + 100)
    const preview = await check('bag', productionFile(productionLines(at, 800, ['two\n"lines"'])), {})
    add(preview)
    expect(preview.matchedBy).toBeNull()
    expect(preview.totals.changed).toBe(0)
    expect(preview.totals.unchanged + preview.totals.removed).toBe(preview.rows.before)
  }
  expect(Math.min(seen.inserted, seen.unchanged, seen.removed)).toBeGreaterThan(0)
}, 240_000)

test('an upsert changes each day as its preview showed', async () => {
  const { seen, add } = tally()
  let inDoubt = 0
  for (const seed of rounds) {
    const at = createRandom(seed + 200)
    const preview = await check('orders', ordersFile(at, 5 + at.below(40)), {})
    add(preview)
    inDoubt += preview.sameVersion.rows
  }
  expect(inDoubt).toBeGreaterThan(0)
  expect(Math.min(seen.inserted, seen.changed, seen.unchanged)).toBeGreaterThan(0)
}, 240_000)

test('an append changes each day as its preview showed', async () => {
  let present = 0
  for (const seed of rounds) {
    const at = createRandom(seed + 300)
    present += (await check('dkt', cardsFile(at, 5 + at.below(10)), {})).alreadyPresent
  }
  expect(present).toBeGreaterThan(0)
}, 240_000)
