import { retryJob } from '@aduana/jobs/lifecycle/retry'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const HEADER =
  'fecha_contabilizacion;maquina_codigo;maquinista_codigo;turno;material;lote;cantidad;peso_neto;observacion'

/** Returns `count` clean rows spread over the given days. */
function file(tag: string, days: readonly string[], count: number): string {
  const rows = Array.from(
    { length: count },
    (_, index) => `${days[index % days.length]};M00${index % 9};W0001;1;PVC;${tag}${index};1;1,5;`,
  )
  return `${[HEADER, ...rows].join('\n')}\n`
}

let system: TestSystem
beforeAll(async () => {
  system = await createTestSystem({ workers: 2 })
})
afterAll(() => system.close())

const perTag = async (from: string, to: string) => {
  const found = await system.database.pool.query(
    `select left(lote, 1) as tag, count(*)::int as rows from fact_production
     where fecha_contabilizacion >= $1 and fecha_contabilizacion < $2 group by 1 order by 1`,
    [from, to],
  )
  return Object.fromEntries(found.rows.map(({ tag, rows }: { tag: string; rows: number }) => [tag, rows]))
}
const leftovers = async () => {
  const found = await system.database.pool.query(`select relname from pg_class where relname ~ '^load_[0-9]'`)
  return found.rows
}

describe('a month that is loaded as a whole', () => {
  test('is replaced as a whole, with the count of removed rows, and keeps its indexes', async () => {
    const days = ['2023-01-03', '2023-01-17', '2023-01-31']
    await system.import(file('a', days, 60_000), { dataset: 'production' })
    const again = await system.import(file('b', days, 70_000), { dataset: 'production' })
    expect(again.counts).toMatchObject({ loaded: 70_000, removed: 60_000 })
    expect(await perTag('2023-01-01', '2023-02-01')).toEqual({ b: 70_000 })
    const indexes = await system.database.pool.query(
      `select count(*)::int as n from pg_inherits i join pg_index x on x.indexrelid = i.inhrelid
       where x.indrelid = 'fact_production_2023_01'::regclass and x.indisvalid`,
    )
    expect(indexes.rows).toEqual([{ n: 2 }])
    expect(await leftovers()).toEqual([])
  })

  test('keeps the rows of days that are not in the import', async () => {
    await system.import(file('c', ['2023-03-01', '2023-03-02'], 60_000), { dataset: 'production' })
    const again = await system.import(file('d', ['2023-03-02', '2023-03-03'], 60_000), {
      dataset: 'production',
    })
    expect(again.counts).toMatchObject({ loaded: 60_000, removed: 30_000 })
    expect(await perTag('2023-03-01', '2023-04-01')).toEqual({ c: 30_000, d: 60_000 })
  })

  test('drops the table of an earlier attempt that could not drop it', async () => {
    const { pool, db } = system.database
    await pool.query('alter table fact_production rename column lote to lot')
    const failed = await system.import(file('f', ['2023-11-01'], 10), { dataset: 'production' })
    expect(failed.error).toMatchObject({ code: 'table_differs' })
    await pool.query('alter table fact_production rename column lot to lote')
    const { rows } = await pool.query('select import_no from imports where job_id = $1', [failed.id])
    await pool.query(`create table load_${rows[0].import_no}_1_1_2023_11 (id bigint)`)
    await retryJob(db, system.admin, failed.id)
    expect(await system.finished(failed.id)).toMatchObject({ status: 'COMPLETED', counts: { loaded: 10 } })
    expect(await leftovers()).toEqual([])
  })

  test('accepts several imports that create the same new months concurrently', async () => {
    const ids = await Promise.all(
      ['e', 'f', 'g', 'h'].map((tag, index) =>
        system.accept(file(tag, [`2023-05-1${index}`, `2023-06-1${index}`], 20_000), {
          dataset: 'production',
        }),
      ),
    )
    const jobs = await Promise.all(ids.map((id) => system.finished(id, 60_000)))
    expect(jobs.map(({ status }) => status)).toEqual(['COMPLETED', 'COMPLETED', 'COMPLETED', 'COMPLETED'])
    expect(await perTag('2023-05-01', '2023-07-01')).toEqual({ e: 20_000, f: 20_000, g: 20_000, h: 20_000 })
    expect(await leftovers()).toEqual([])
  })

  test('is not blocked by a long reading transaction for more than a moment', async () => {
    const days = ['2023-08-01', '2023-08-02']
    await system.import(file('i', days, 60_000), { dataset: 'production' })
    const reader = await system.database.pool.connect()
    try {
      await reader.query('begin isolation level repeatable read')
      const before = await reader.query(`select count(*)::int as n from fact_production where lote like 'i%'`)
      const job = await system.import(file('j', days, 60_000), { dataset: 'production' })
      expect(job.counts).toMatchObject({ loaded: 60_000, removed: 60_000 })
      const during = await reader.query(`select count(*)::int as n from fact_production where lote like 'i%'`)
      expect(during.rows).toEqual(before.rows)
      await reader.query('commit')
    } finally {
      reader.release()
    }
    expect(await perTag('2023-08-01', '2023-09-01')).toEqual({ j: 60_000 })
    expect(await leftovers()).toEqual([])
  })
})
