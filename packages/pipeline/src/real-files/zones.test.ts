import { readPreview } from '@aduana/jobs/lifecycle/approve'
import { saveMetricAs, saveSeriesAs } from '@aduana/metrics/commands'
import { sample } from '@aduana/testkit/long'
import { undone } from '@aduana/testkit/undo'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type ColumnInput, openRealFiles, type RealFiles, realFile } from '../testing/real-files.ts'

vi.setConfig({ testTimeout: 300_000 })

let files: RealFiles
beforeAll(async () => {
  files = await openRealFiles()
})
afterAll(() => files.close())

const query = async <T>(text: string, values: unknown[] = []): Promise<T[]> =>
  (await files.system.database.pool.query(text, values)).rows

describe('a local time', () => {
  const columns = (repeatedHour?: 'first' | 'second' | 'reject'): ColumnInput[] => [
    { name: 'k', type: 'text' },
    {
      name: 't',
      type: 'timestamp',
      timeZone: 'Europe/Madrid',
      formats: ['YYYY-MM-DD HH:MM', 'ISO8601'],
      ...(repeatedHour ? { repeatedHour } : {}),
    },
  ]
  const FILE = realFile('h04-dst-gap.csv')

  test('that does not exist is rejected with that reason; one that exists twice is the second, with a warning', async () => {
    const dataset = await files.dataset(columns())
    const { job, rejects } = await files.import(dataset, FILE)
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 4, quarantined: 2 } })
    expect(rejects.map(({ line, reasons }) => [line, reasons[0]?.code, reasons[0]?.message])).toEqual([
      [2, 'not_a_timestamp', expect.stringContaining('"2024-03-31 02:30" does not exist in Europe/Madrid')],
      [4, 'not_a_timestamp', expect.stringContaining('"2024-03-31T02:30:00" does not exist')],
    ])
    expect(await files.rows(dataset)).toEqual([
      { k: 'b', t: '2024-03-31T01:30:00+00:00' },
      { k: 'd', t: '2024-10-27T01:30:00+00:00' },
      { k: 'e', t: '2024-10-27T00:30:00+00:00' },
      { k: 'f', t: '2024-10-27T01:30:00+00:00' },
    ])
    expect(job.warnings).toEqual([expect.objectContaining({ code: 'repeated_hour', column: 't', count: 1 })])
    expect(job.warnings[0]?.message).toContain('first in line 5')
  })

  test.each<['first' | 'second' | 'reject', string | undefined, number]>([
    ['first', '2024-10-27T00:30:00+00:00', 2],
    ['second', '2024-10-27T01:30:00+00:00', 2],
    ['reject', undefined, 3],
  ])(
    'that exists twice follows repeatedHour %s without a warning',
    async (repeatedHour, instant, rejected) => {
      const dataset = await files.dataset(columns(repeatedHour))
      const { job } = await files.import(dataset, FILE)
      expect(job).toMatchObject({ status: 'COMPLETED', counts: { quarantined: rejected }, warnings: [] })
      expect((await files.rows(dataset)).find(({ k }) => k === 'd')?.t).toBe(instant)
    },
  )

  test('of an ordinary day causes no warning', async () => {
    const dataset = await files.dataset(columns())
    const { job } = await files.import(
      dataset,
      'k,t\na,2024-10-27 01:59\nb,2024-10-27 03:00\nc,2024-07-01 02:30\n',
    )
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 3 }, warnings: [] })
  })
})

/** Days on which clocks change, and how long they are. In St. John's they went back at 00:01, to the day before. */
const DAYS: [zone: string, day: string, hours: number][] = [
  ['Europe/Madrid', '2026-10-25', 25],
  ['Europe/Madrid', '2026-03-29', 23],
  ['America/Santiago', '2024-04-06', 25],
  ['America/Santiago', '2024-09-08', 23],
  ['Australia/Sydney', '2024-04-07', 25],
  ['Australia/Lord_Howe', '2024-04-07', 24.5],
  ['America/Sao_Paulo', '2018-11-04', 23],
  ['America/Sao_Paulo', '2018-02-17', 25],
  ['America/Bogota', '1992-05-03', 23],
  ['Pacific/Apia', '2011-12-31', 24],
  ['America/St_Johns', '2010-11-07', 24],
  ['America/St_Johns', '2010-11-06', 25],
]

interface Moment {
  utc: string
  local: string
  day: string
  /** The local time alone says which moment it is. */
  plain: boolean
}

/** Every half hour of a day and the days beside it, by plain SQL; and the minute before and after each. */
async function moments(zone: string, day: string): Promise<Moment[]> {
  return query<Moment>(
    `select to_char(m at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as utc,
       to_char(m at time zone $1, 'YYYY-MM-DD HH24:MI:SS') as local,
       to_char(m at time zone $1, 'YYYY-MM-DD') as day,
       count(*) over (partition by m at time zone $1) = 1 as plain
     from generate_series($2::timestamptz - interval '3 days', $2::timestamptz + interval '4 days', interval '30 minutes') h,
       lateral unnest(array[h, h + interval '30 seconds', h - interval '30 seconds']) m
     where (m at time zone $1)::date between $2::date - 1 and $2::date + 1 order by m`,
    [zone, day],
  )
}

/** A file of moments: local times where they say it all, else with their offset. */
function fileOf(those: readonly Moment[], n: number): string {
  return `k,t,n\n${those.map(({ utc, local, plain }) => `${utc},${plain ? local : utc},${n}`).join('\n')}\n`
}

async function datasetOf(zone: string, loadMode: 'replace-window' | 'upsert' | 'append') {
  const dataset = await files.dataset(
    [
      { name: 'k', type: 'text', required: true },
      {
        name: 't',
        type: 'timestamp',
        required: true,
        timeZone: zone,
        formats: ['YYYY-MM-DD HH:MM:SS', 'ISO8601'],
      },
      { name: 'n', type: 'integer' },
    ],
    { loadMode, windowColumn: 't', ...(loadMode === 'upsert' ? { key: ['k'] } : {}) },
  )
  const title = { en: 'Rows', es: 'Filas' }
  const { database, admin } = files.system
  await saveSeriesAs(database.db, admin, { code: `${dataset}.rows`, title, dataset, column: null })
  await saveMetricAs(database.db, admin, `${dataset}.rows`, {
    title,
    grain: 'total',
    expression: { type: 'aggregate', op: 'count', series: `${dataset}.rows` },
  })
  return dataset
}

/** What a dataset holds, and what its ledger and its metric say of each day. */
async function stateOf(dataset: string) {
  await files.system.work()
  return {
    rows: await query(`select k, t::text, n from own.${dataset} order by k, n`),
    ledger: await query(
      `select day::text, rows::int from window_ledger l join datasets d on d.id = l.dataset_id
       where d.code = $1 and rows > 0 order by 1`,
      [dataset],
    ),
    metric: await query(
      `select date::text as day, value::int as rows from daily_metrics where metric_name = $1 and value > 0 order by 1`,
      [`${dataset}.rows`],
    ),
  }
}

/** The same by plain SQL, of the rows that must be there. */
async function wantedOf(zone: string, rows: readonly { moment: Moment; n: number }[]) {
  const values = rows.map(({ moment, n }) => ({ k: moment.utc, t: moment.utc, n }))
  const list = JSON.stringify(values)
  const source = `jsonb_to_recordset($1::jsonb) as r (k text, t timestamptz, n int)`
  const days = await query(
    `select (t at time zone $2)::date::text as day, count(*)::int as rows from ${source} group by 1 order by 1`,
    [list, zone],
  )
  return {
    rows: await query(`select k, t::text, n from ${source} order by k, n`, [list]),
    ledger: days,
    metric: days,
  }
}

async function bring(dataset: string, content: string, form: Record<string, string> = {}) {
  const { job } = await files.import(dataset, content, { force: 'true', ...form })
  expect(job).toMatchObject({ status: 'COMPLETED', error: null, counts: { quarantined: 0 }, warnings: [] })
  return job
}

/** What the preview of a dry run says of each day that it changes. */
async function previewed(dataset: string, content: string, form: Record<string, string> = {}) {
  const job = await bring(dataset, content, { ...form, dryRun: 'true' })
  const { preview } = await readPreview(files.system.database.db, files.system.admin, job.id)
  return preview.days
    .filter(({ inserted, changed, removed }) => inserted + changed + removed > 0)
    .map(({ day, inserted, changed, removed }) => ({ day, inserted, changed, removed }))
}

const nextDay = (day: string) =>
  new Date(Date.parse(`${day}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10)

describe.each(sample(DAYS, 2))('in %s on %s, a day of %d hours', (zone, day, hours) => {
  test('is replaced completely, with a declared window and without, and undone exactly', async () => {
    const all = await moments(zone, day)
    const its = all.filter((moment) => moment.day === day)
    expect(Math.round(its.length / 6)).toBe(Math.round(hours))
    const dataset = await datasetOf(zone, 'replace-window')
    await bring(dataset, fileOf(all, 1))
    const before = await stateOf(dataset)
    expect(before).toEqual(
      await wantedOf(
        zone,
        all.map((moment) => ({ moment, n: 1 })),
      ),
    )
    const changes = [{ day, inserted: its.length - 1, changed: 0, removed: its.length }]
    // Without its first moment, so that an old row which stays is seen.
    const file = fileOf(its.slice(1), 2)
    const after = await wantedOf(
      zone,
      all.filter((moment) => moment !== its[0]).map((moment) => ({ moment, n: moment.day === day ? 2 : 1 })),
    )
    for (const form of [{ from: day, to: nextDay(day) }, {}]) {
      expect(await previewed(dataset, file, form)).toEqual(changes)
      const { id } = await bring(dataset, file, form)
      expect(await stateOf(dataset)).toEqual(after)
      expect(await undone(files.system, id)).toMatchObject({ status: 'COMPLETED' })
      expect(await stateOf(dataset)).toEqual(before)
    }
  })

  test('is upserted and appended to as previewed, and undone exactly', async () => {
    const all = await moments(zone, day)
    const its = all.filter((moment) => moment.day === day)
    for (const mode of ['upsert', 'append'] as const) {
      const dataset = await datasetOf(zone, mode)
      await bring(dataset, fileOf(all, 1))
      const before = await stateOf(dataset)
      expect(before).toEqual(
        await wantedOf(
          zone,
          all.map((moment) => ({ moment, n: 1 })),
        ),
      )
      const file = fileOf(its, 2)
      const rows = its.length
      expect(await previewed(dataset, file)).toEqual([
        { day, inserted: mode === 'append' ? rows : 0, changed: mode === 'append' ? 0 : rows, removed: 0 },
      ])
      const { id } = await bring(dataset, file)
      const kept = mode === 'append' ? all : all.filter((moment) => moment.day !== day)
      const wanted = [...kept.map((moment) => ({ moment, n: 1 })), ...its.map((moment) => ({ moment, n: 2 }))]
      expect(await stateOf(dataset)).toEqual(await wantedOf(zone, wanted))
      expect(await undone(files.system, id)).toMatchObject({ status: 'COMPLETED' })
      expect(await stateOf(dataset)).toEqual(before)
    }
  })
})

test.each([
  ['Europe/Madrid', '2026-10-25'],
  ['America/St_Johns', '2010-11-06'],
])('in %s on %s, exactly the rows of the companies of a limited user are replaced', async (zone, day) => {
  const dataset = await files.dataset(
    [
      { name: 'k', type: 'text', required: true },
      { name: 't', type: 'timestamp', required: true, timeZone: zone, formats: ['ISO8601'] },
      { name: 'n', type: 'integer' },
      { name: 'company', type: 'text', required: true },
    ],
    { loadMode: 'replace-window', windowColumn: 't', scope: { company: 'company' } },
  )
  const all = await moments(zone, day)
  const file = (those: readonly Moment[], n: number, companies: readonly string[]) =>
    `k,t,n,company\n${companies.flatMap((company) => those.map(({ utc }) => `${utc},${utc},${n},${company}\n`)).join('')}`
  const rows = () =>
    query<{ company: string; day: string; n: number }>(
      `select company, (t at time zone $1)::date::text as day, n, count(*)::int as rows, min(t)::text, max(t)::text
       from own.${dataset} group by 1, 2, 3 order by 1, 2, 3`,
      [zone],
    )
  const ledger = () =>
    query(
      `select coalesce(l.day::text, r.day::text) as day, l.rows::int as ledger, r.rows as stored
       from (select day, rows from window_ledger l join datasets d on d.id = l.dataset_id where d.code = $2) l
       full join (select (t at time zone $1)::date as day, count(*)::int as rows from own.${dataset} group by 1) r using (day)
       where l.rows is distinct from r.rows`,
      [zone, dataset],
    )
  await bring(dataset, file(all, 1, ['A', 'B']))
  const before = await rows()
  const its = all.filter((moment) => moment.day === day)
  const user = await files.system.addUser('operator', { companies: ['A'] })
  for (const form of [{ from: day, to: nextDay(day) }, {}]) {
    const id = await files.system.accept(file(its, 2, ['A']), { dataset, force: 'true', ...form }, user)
    expect(await files.system.finished(id)).toMatchObject({
      status: 'COMPLETED',
      counts: { removed: its.length, inserted: its.length },
    })
    expect(await rows()).toEqual(
      before.map((row) => (row.company === 'A' && row.day === day ? { ...row, n: 2 } : row)),
    )
    expect(await ledger()).toEqual([])
    expect(await undone(files.system, id)).toMatchObject({ status: 'COMPLETED' })
    expect(await rows()).toEqual(before)
    expect(await ledger()).toEqual([])
  }
})

describe('the messages about days', () => {
  test('name an hour that Colombia did not have, which is rejected and not loaded on another day', async () => {
    const { job, rejects } = await files.import('orders', realFile('41-dst.csv'))
    expect(job).toMatchObject({ status: 'FAILED', error: { code: 'too_many_rejects' } })
    expect(rejects.map(({ line, reasons }) => [line, reasons[0]?.code])).toEqual([[3, 'not_a_timestamp']])
  })

  test('name the line that makes the window too wide', async () => {
    const { job } = await files.import('production', realFile('35-day-zero.csv'))
    expect(job).toMatchObject({ status: 'FAILED', error: { code: 'window_too_wide', line: 3 } })
    expect(job.error?.detail).toMatch(/^Line 3 has the date 1900-01-01 \(written "01\/01\/1900"\), /)
  })

  test('report that "to" was used as the last day: in the reject, as a warning, and if the import fails because of it', async () => {
    const { job, rejects } = await files.import('production', realFile('42-last-day.csv'), {
      from: '2020-06-01',
      to: '2020-06-06',
    })
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { quarantined: 1, loaded: 5 } })
    expect(rejects[0]?.reasons[0]?.message).toMatch(
      /^The end of the window \(to\) is exclusive. To include 2020-06-06, declare to=2020-06-07 \(--to 2020-06-07\)\. /,
    )
    expect(job.warnings).toMatchObject([{ code: 'window_end_excluded', count: 1 }])
    const header = 'fecha;maquina;maquinista;turno;lote;cantidad;peso\n'
    const rest = '2020-06-05;M101;W1001;1;Z;1;1\n2020-06-06;M101;W1001;1;Y;1;1\n'
    const failed = await files.import('production', header + rest, { from: '2020-06-05', to: '2020-06-06' })
    expect(failed.job).toMatchObject({ status: 'FAILED', error: { code: 'too_many_rejects' } })
    expect(failed.job.error?.detail).toMatch(
      /^The end of the window \(to\) is exclusive, so 1 record of 2020-06-06 /,
    )
    const other = `${rest}2020-06-08;M101;W1001;1;X;1;1\n`
    const mixed = await files.import('production', header + other, { from: '2020-06-05', to: '2020-06-06' })
    expect(mixed.job.error?.detail).toMatch(
      /^2 of 3 records were rejected \(66\.7 %\); production allows 20 %\./,
    )
  })

  test('report that every record was rejected, even if the dataset allows that', async () => {
    const dataset = await files.dataset([{ name: 'n', type: 'integer', required: true }])
    const { job } = await files.import(dataset, `n\n${'x\n'.repeat(20)}`)
    expect(job).toMatchObject({ status: 'FAILED', error: { code: 'too_many_rejects' } })
    expect(job.error?.detail).toMatch(/^All 20 records were rejected, so there is nothing to load\./)
  })
})
