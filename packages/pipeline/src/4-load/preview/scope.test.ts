import type { Principal } from '@aduana/contracts/identity'
import { type DayChanges, type JobPreview, LoadPreview } from '@aduana/contracts/load-preview'
import { readPreview } from '@aduana/jobs/lifecycle/approve'
import { readJob } from '@aduana/jobs/read/jobs'
import { createRandom, type Random } from '@aduana/testkit/random'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { InProcessSystem } from '../../testing/in-process-system.ts'
import { ANDINA, createSalesSystem, importAs, salesFile } from '../../testing/sales.ts'

let system: InProcessSystem
let operator: Principal
beforeAll(async () => {
  system = await createSalesSystem()
  operator = await system.addUser('operator', ANDINA)
})
afterAll(() => system.close())

async function query<T>(text: string): Promise<T[]> {
  return (await system.database.pool.query(text)).rows
}

const COMPANIES = ['Andina', 'Beta'] as const
const WAREHOUSES = ['W1', 'W2', 'W3', ''] as const

interface Place {
  companies: readonly [string, ...string[]]
  warehouses: readonly [string, ...string[]]
}
const EVERYWHERE: Place = { companies: COMPANIES, warehouses: WAREHOUSES }
const OWN: Place = { companies: ['Andina'], warehouses: ['W1', 'W2', ''] }

function sales(at: Random, rows: number, { companies, warehouses }: Place): string {
  const lines = Array.from({ length: rows }, () => {
    const company = at.pick(companies)
    const machine = `M${100 + at.below(30)}`
    return `2024-01-0${1 + at.below(4)},${company},${at.pick(warehouses)},I${at.below(12)},${machine},${at.below(9)},${at.below(3)}.5`
  })
  return salesFile(...lines)
}

function orders(at: Random, rows: number, { companies, warehouses }: Place): string {
  const lines = Array.from({ length: rows }, () => {
    const company = at.pick(companies)
    const warehouse = at.pick(warehouses) || 'W1'
    const when = `2024-05-0${1 + at.below(4)} 1${at.below(9)}:30:00`
    // Rows match by key: an order of another company is refused, not compared.
    return `${company}-${warehouse}-${at.below(12)},sale,${when},,${at.below(5)},${company},${warehouse},2024-06-01 0${at.below(9)}:00:00`
  })
  return `order_id,order_type,timestamp,customer_id,items_count,company,warehouse,source_modified_timestamp\n${lines.join('\n')}\n`
}

interface Target {
  table: string
  /** The rows as in the source, without ids and lineage. */
  rows: string
  day: string
  key: string
  matchedBy: string[]
  sums: string[]
}
const SALES: Target = {
  table: 'sale',
  rows: `select t.day, company, warehouse, item, m.codigo as machine, pieces, amount from sale t left join dim_maquina m on m.id = t.maquina_id`,
  day: 'day',
  key: 'day, company, item',
  matchedBy: ['day', 'company', 'item'],
  sums: ['pieces', 'amount'],
}
const ORDERS: Target = {
  table: 'order_detail',
  rows: `select order_id, order_type, timestamp, customer_id, items_count, company, warehouse, source_modified_timestamp from order_detail`,
  day: `(timestamp at time zone 'America/Bogota')::date`,
  key: 'order_id',
  matchedBy: ['order_id'],
  sums: ['items_count'],
}

const IN_SCOPE = `company = 'Andina' and (warehouse is null or warehouse in ('W1', 'W2'))`
const outside = async ({ table }: Target) =>
  JSON.stringify(await query(`select to_jsonb(t) from ${table} t where not (${IN_SCOPE}) order by id`))

type Figures = Record<string, string>
const figures = async (target: Target, table: string, days: readonly string[]): Promise<Figures> => {
  const list = days.map((day) => `date '${day}'`).join(', ') || 'null::date'
  const sums = target.sums.map((name) => `coalesce(sum(${name}), 0)::numeric::text as ${name}`).join(', ')
  const found = await query<Figures>(
    `select count(*)::text as rows, ${sums} from ${table} where ${target.day} in (${list})`,
  )
  return found[0] ?? {}
}

const plain = (decimal: string | undefined) =>
  (decimal ?? '').replace(/\.(\d*?)0+$/, '.$1').replace(/\.$/, '')

/** The changes of each day within the scope by plain SQL: `kept` and `now_rows` hold the rows before and after. */
async function changesByDay({ day, key }: Target, mode: string): Promise<DayChanges[]> {
  const on = key.split(', ')
  const same = on.map((name) => `n.${name} is not distinct from o.${name}`).join(' and ')
  const appended = mode === 'append'
  return query<DayChanges>(
    `with n as (select t::text as whole, ${day} as at, ${key} from now_rows t),
       o as (select t::text as whole, ${day} as at, ${key} from kept t),
       states as (
         select n.at, case when o.whole is null then 'inserted' when o.whole = n.whole then 'unchanged' else 'changed' end as state
           from n left join o on ${same} where not ${appended}
         union all select o.at, 'removed' from o left join n on ${same} where n.whole is null
         union all select (x).at, 'inserted' from (select n as x from n except all select o from o) a where ${appended})
     select '' as scope, d.at::text as day,
       (select count(*) from states s where s.at = d.at and state = 'inserted')::int as inserted,
       (select count(*) from states s where s.at = d.at and state = 'changed')::int as changed,
       (select count(*) from states s where s.at = d.at and state = 'unchanged')::int as unchanged,
       (select count(*) from states s where s.at = d.at and state = 'removed')::int as removed,
       (select count(*) from o where o.at = d.at)::int as before, (select count(*) from n where n.at = d.at)::int as after
     from (select at from n union select at from o) d order by d.at`,
  )
}

/** What a load met among the rows of the scope, by plain SQL, as `changesByDay`. */
async function metByPlainSql(
  target: Target,
  mode: string,
): Promise<Pick<LoadPreview, 'alreadyPresent' | 'sameVersion'>> {
  const [present] = await query<{ rows: number }>(
    `select count(*)::int as rows from ((select * from now_rows except all select * from kept)
       intersect all select * from kept) x`,
  )
  const versions =
    target === ORDERS
      ? await query<{ rows: number; example: string | null }>(
          `select count(*)::int as rows, min(order_id) as example
           from now_rows n join kept k using (order_id, source_modified_timestamp) where n::text <> k::text`,
        )
      : []
  return {
    alreadyPresent: mode === 'append' ? (present?.rows ?? 0) : 0,
    sameVersion: versions[0] ?? { rows: 0, example: null },
  }
}

/** Imports as the restricted operator, first as a dry run, and compares the numbers of the preview with SQL in the scope. */
async function check(
  target: Target,
  content: string,
  form: { dataset: string } & Record<string, string>,
): Promise<LoadPreview> {
  const before = await outside(target)
  await query('drop table if exists kept, now_rows')
  await query(`create table kept as select * from (${target.rows}) r where ${IN_SCOPE}`)
  const members = `select codigo from dim_maquina order by 1`
  const known = new Set((await query<{ codigo: string }>(members)).map(({ codigo }) => codigo))
  const dry = await importAs(system, operator, content, { ...form, dryRun: 'true' })
  expect(dry).toMatchObject({ status: 'COMPLETED', error: null })
  const { preview, needsApproval } = await readPreview(system.database.db, operator, dry.id)
  const real = await importAs(system, operator, content, form)
  expect(real).toMatchObject({ status: 'COMPLETED', counts: dry.counts })
  expect(await outside(target)).toBe(before)

  await query(`create table now_rows as select * from (${target.rows}) r where ${IN_SCOPE}`)
  const { mode, matchedBy, totals, rows, days, daysLeftOut, sums, newMembers, ...met } = preview
  expect(met).toEqual(await metByPlainSql(target, mode))
  expect([mode, matchedBy]).toEqual([
    form.mode ?? (target === ORDERS ? 'upsert' : 'replace-window'),
    form.mode === 'append' ? null : target.matchedBy,
  ])
  const expected = await changesByDay(target, mode)
  const touched = new Set(days.map(({ day }) => day))
  // An upsert names what it leaves as it is only where the file sends it.
  const told = (list: readonly DayChanges[]) =>
    list
      .filter(({ day }) => touched.has(day))
      .map(({ unchanged, scope: _, ...entry }) =>
        mode === 'replace-window' ? { ...entry, unchanged } : entry,
      )
  expect(told(days)).toEqual(told(expected))
  for (const { day, inserted, changed, removed } of expected)
    if (inserted + changed + removed > 0) expect(touched).toContain(day)
  const sum = (of: (entry: DayChanges) => number) => days.reduce((total, entry) => total + of(entry), 0)
  expect(totals).toEqual({
    inserted: sum(({ inserted }) => inserted),
    changed: sum(({ changed }) => changed),
    unchanged: sum(({ unchanged }) => unchanged),
    removed: sum(({ removed }) => removed),
  })
  const [old, now] = await Promise.all([
    figures(
      target,
      'kept',
      days.flatMap(({ day }) => day ?? []),
    ),
    figures(
      target,
      'now_rows',
      days.flatMap(({ day }) => day ?? []),
    ),
  ])
  expect(rows).toEqual({ before: Number(old.rows), after: Number(now.rows) })
  expect(sums.map(({ column, before, after }) => [column, plain(before), plain(after)])).toEqual(
    target.sums.map((name) => [name, plain(old[name]), plain(now[name])]),
  )
  expect(daysLeftOut).toBe(0)
  const created = (await query<{ codigo: string }>(members)).flatMap(({ codigo }) =>
    known.has(codigo) ? [] : [codigo],
  )
  expect(newMembers).toEqual(
    created.length === 0
      ? []
      : [{ column: 'machine', codes: created.length, examples: expect.arrayContaining(created.slice(0, 1)) }],
  )
  expect(needsApproval).toEqual([])
  return preview
}

describe('every number of a preview by a user who is limited to companies and warehouses', () => {
  const seen = { inserted: 0, changed: 0, unchanged: 0, removed: 0 }
  const add = ({ totals }: LoadPreview) => {
    seen.inserted += totals.inserted
    seen.changed += totals.changed
    seen.unchanged += totals.unchanged
    seen.removed += totals.removed
  }
  const clear = () => Object.assign(seen, { inserted: 0, changed: 0, unchanged: 0, removed: 0 })

  test('belongs to a field that is checked here', () => {
    expect(Object.keys(LoadPreview.shape).sort()).toEqual(
      [
        ...['mode', 'matchedBy', 'totals', 'alreadyPresent', 'sameVersion', 'rows', 'days'],
        ...['daysLeftOut', 'sums', 'newMembers'],
      ].sort(),
    )
  })

  test('counts only rows in their scope when days are replaced', async () => {
    clear()
    for (const [seed, dataset, form] of [
      [1, 'sales', {}],
      [2, 'sales', { from: '2024-01-01', to: '2024-01-06' }],
      [3, 'sales_by_company', {}],
      [4, 'sales_by_company', { from: '2024-01-01', to: '2024-01-06', scope: 'Andina' }],
      [5, 'sales', {}],
    ] as const) {
      const at = createRandom(seed)
      await importAs(system, system.admin, sales(at, 60, EVERYWHERE), { dataset })
      add(await check(SALES, sales(at, 25, OWN), { dataset, ...form }))
    }
    expect(Math.min(seen.inserted, seen.changed, seen.removed)).toBeGreaterThan(0)
  }, 240_000)

  test('counts only rows in their scope when rows are appended', async () => {
    await importAs(system, system.admin, sales(createRandom(6), 60, EVERYWHERE), { dataset: 'sales' })
    const preview = await check(SALES, sales(createRandom(7), 12, OWN), { dataset: 'sales', mode: 'append' })
    expect(preview.totals.inserted).toBeGreaterThan(0)
    expect(preview.rows.before).toBeGreaterThan(0)
  }, 240_000)

  test('counts only rows in their scope when rows are upserted', async () => {
    clear()
    for (const seed of [11, 12, 13]) {
      const at = createRandom(seed)
      await importAs(system, system.admin, orders(at, 80, EVERYWHERE), { dataset: 'orders' })
      add(await check(ORDERS, orders(at, 25, OWN), { dataset: 'orders' }))
    }
    expect(Math.min(seen.inserted, seen.changed)).toBeGreaterThan(0)
  }, 240_000)
})

describe('whether their load needs an approval', () => {
  const reasons = ({ needsApproval }: JobPreview) => needsApproval.map(({ detail }) => detail)

  test('depends only on rows in their scope, and the reason names no others', async () => {
    const many = Array.from({ length: 50 }, (_, i) => `2024-02-01,Beta,W1,B${i},M1,1,1`)
    const own = ['a', 'b', 'c', 'd'].map((item) => `2024-02-01,Andina,W1,${item},M1,1,1`)
    await importAs(system, system.admin, salesFile(...many, ...own), { dataset: 'sales' })
    const sent = salesFile('2024-02-01,Andina,W1,a,M1,1,1')
    const dry = await importAs(system, operator, sent, { dataset: 'guarded_sales', dryRun: 'true' })
    expect(reasons(await readPreview(system.database.db, operator, dry.id))).toEqual([
      'the import changes or removes 3 rows, and guarded_sales requires an approval above 2 rows',
      'the import changes or removes 3 of 4 rows (75.0 %), and guarded_sales requires an approval above 50.0 %',
    ])
  }, 120_000)

  test('depends on the share of rows in their scope for an upsert', async () => {
    const line = (id: string, company: string, items: number) =>
      `${id},sale,2024-07-01 10:00:00,,${items},${company},W1,2024-07-0${items} 00:00:00`
    const file = (...lines: string[]) =>
      `order_id,order_type,timestamp,customer_id,items_count,company,warehouse,source_modified_timestamp\n${lines.join('\n')}\n`
    const many = Array.from({ length: 50 }, (_, i) => line(`share-B${i}`, 'Beta', 1))
    const own = ['share-a', 'share-b', 'share-c'].map((id) => line(id, 'Andina', 1))
    await importAs(system, system.admin, file(...many, ...own), { dataset: 'orders' })
    const sent = file(line('share-a', 'Andina', 2), line('share-b', 'Andina', 2))
    const dry = await importAs(system, operator, sent, { dataset: 'guarded_orders', dryRun: 'true' })
    expect(reasons(await readPreview(system.database.db, operator, dry.id))).toEqual([
      'the import changes or removes 2 of 3 rows (66.7 %), and guarded_orders requires an approval above 50.0 %',
    ])
  }, 120_000)
})

test('the summary of a preview in a job is shown only to users who may see the preview', async () => {
  const sent = salesFile('2024-03-01,Andina,W1,a,M1,1,1')
  const { id } = await importAs(system, operator, sent, { dataset: 'sales', dryRun: 'true' })
  const result = async (as: Principal) => (await readJob(system.database.db, as, id)).result
  expect(await result(operator)).toMatchObject({ preview: { inserted: 1, rows: { before: 0, after: 1 } } })
  expect(await result(system.admin)).toMatchObject({ preview: { inserted: 1 } })
  for (const narrower of [
    { ...operator, warehouses: ['W1'] },
    await system.addUser('admin', { companies: ['Beta'] }),
  ]) {
    expect(await result(narrower)).not.toHaveProperty('preview')
    await expect(readPreview(system.database.db, narrower, id)).rejects.toMatchObject({ code: 'not_found' })
  }
}, 60_000)
