import { readPreview } from '@aduana/jobs/lifecycle/approve'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openRealFiles, type RealFiles, realFile } from '../testing/real-files.ts'

let files: RealFiles
beforeAll(async () => {
  files = await openRealFiles()
})
afterAll(() => files.close())

/** A file of `production` with these dates, quantities and weights, each record with a lot of its own. */
const production = (cells: readonly (readonly [date: string, quantity: string, weight: string])[]) =>
  `fecha;maquina;maquinista;turno;lote;cantidad;peso\n${cells
    .map(([date, quantity, weight], lot) => `${date};M101;W1001;1;${lot};${quantity};${weight}\n`)
    .join('')}`

const stored = async (from: string, to = from) => {
  const { rows } = await files.system.database.pool.query<{ row: unknown[] }>(
    `select jsonb_build_array(fecha_contabilizacion, cantidad, peso_neto) as row from fact_production
     where fecha_contabilizacion between $1 and $2 order by fecha_contabilizacion, lote`,
    [from, to],
  )
  return rows.map(({ row }) => row)
}

describe('decimal marks', () => {
  test('that no cell decides are reported with the import', async () => {
    const { job } = await files.import('production', realFile('31-us-thousands.csv'))
    expect(job).toMatchObject({
      status: 'COMPLETED',
      warnings: [{ code: 'ambiguous_decimal_mark', column: 'peso_neto', count: 2 }],
      result: { decisions: [{ column: 'peso_neto', reading: 'comma', by: 'assumed', ambiguous: 2 }] },
    })
    expect(job.warnings[0]?.message).toContain('"1,234" (line 2)')
  })

  test('that must be thousands separators are rejected, and the file is not loaded', async () => {
    const { job, rejects } = await files.import('production', realFile('31-evidence-in-file.csv'))
    expect(job).toMatchObject({
      status: 'FAILED',
      error: { code: 'too_many_rejects' },
      result: { decisions: [{ column: 'peso_neto', reading: 'point', by: 'cells' }] },
    })
    expect(rejects.map(({ raw }) => raw.split(';')[6])).toEqual(['1,234', '2,345', '1,234.5'])
    expect(rejects[0]?.reasons[0]?.message).toContain(
      'decimals have a point in this file, as in "900.5" (line 4)',
    )
    expect(await stored('2020-01-24')).toEqual([])
  })

  test('are recognized in an ordinary file without a warning', async () => {
    const { job } = await files.import(
      'production',
      production([
        ['2020-02-01', '1', '12,345'],
        ['2020-02-01', '2.0', '3,5'],
        ['2020-02-01', '3', '7,25'],
      ]),
    )
    expect(job).toMatchObject({ status: 'COMPLETED', warnings: [] })
    expect(await stored('2020-02-01')).toEqual([
      ['2020-02-01', 1, 12.345],
      ['2020-02-01', 2, 3.5],
      ['2020-02-01', 3, 7.25],
    ])
  })

  test('of both kinds in one column are not loaded', async () => {
    const { job } = await files.import(
      'production',
      production([
        ['2020-02-02', '1', '3,5'],
        ['2020-02-02', '2', '4.5'],
      ]),
    )
    expect(job).toMatchObject({
      status: 'FAILED',
      stage: 'validate',
      error: { code: 'file_contradicts_itself' },
    })
    expect(await stored('2020-02-02')).toEqual([])
  })
})

describe('dates', () => {
  test('with a time of midnight are days', async () => {
    const { job } = await files.import('production', realFile('36-midnight.csv'))
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 1 }, warnings: [] })
    expect(await stored('2020-01-19')).toHaveLength(1)
  })

  test('without leading zeros are days', async () => {
    const { job } = await files.import('production', realFile('36-unpadded.csv'))
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 1 }, warnings: [] })
    expect(await stored('2020-01-09')).toHaveLength(1)
  })

  test('that must have the month first are not loaded', async () => {
    await files.import('production', production([['2017-01-03', '7', '1']]))
    const { job } = await files.import('production', realFile('37-evidence-in-file.csv'))
    expect(job).toMatchObject({ status: 'FAILED', error: { code: 'file_contradicts_itself' } })
    expect(job.error?.detail).toContain('"03/13/2017" (line 6) has the month before the day')
    expect(await stored('2017-01-01', '2017-12-31')).toEqual([['2017-01-03', 7, 1]])
  })

  test('over several months without a day above 12 are reported', async () => {
    const { job } = await files.import(
      'production',
      production([
        ['03/01/2018', '1', '1'],
        ['03/02/2018', '1', '1'],
        ['03/04/2018', '1', '1'],
      ]),
    )
    expect(job).toMatchObject({
      status: 'COMPLETED',
      warnings: [{ code: 'ambiguous_day_month', column: 'fecha_contabilizacion', count: 3 }],
    })
  })
})

test('days are accepted in the formats of spreadsheets, pandas and databases', async () => {
  // Excel in Spain and Colombia, pandas, SQL Server, PostgreSQL.
  const written = [
    ...['05/03/2024', '5/3/2024', '5/03/2024', '05-03-2024', '05/03/2024 0:00', '5/03/2024 0:00'],
    ...['05/03/2024 00:00', '05/03/2024 0:00:00', '2024-03-05', '2024-03-05 00:00:00'],
    ...['2024-03-05 00:00:00.000', '2024-03-05 00:00:00.0000000', '2024-03-05T00:00:00'],
  ]
  const { job } = await files.import(
    'production',
    production(written.map((day) => [day, '120.0', '1'] as const)),
  )
  expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: written.length }, warnings: [] })
  expect(await stored('2024-03-05')).toEqual(written.map(() => ['2024-03-05', 120, 1]))
})

test('an ambiguous file waits for approval if its dataset requires that', async () => {
  const dataset = await files.dataset(
    [{ name: 'n', type: 'decimal', precision: 12, scale: 3, decimalMark: 'either' }],
    { approval: { ambiguous: true } },
  )
  const { job } = await files.import(dataset, 'n\n"1,234"\n', { dryRun: 'true' })
  expect(job).toMatchObject({ status: 'COMPLETED', warnings: [{ code: 'ambiguous_decimal_mark' }] })
  const { needsApproval } = await readPreview(files.system.database.db, files.system.admin, job.id)
  expect(needsApproval.map(({ code }) => code)).toEqual(['ambiguous'])
})

describe('instants', () => {
  const instants = async (like: string) => {
    const { rows } = await files.system.database.pool.query<{ at: string }>(
      `select to_char(timestamp at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') as at from order_detail
       where order_id like $1 order by order_id`,
      [like],
    )
    return rows.map(({ at }) => at)
  }

  test('with fractions and offsets are loaded exactly', async () => {
    const { job } = await files.import('orders', realFile('39-fractions.csv'))
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 2, quarantined: 0 }, warnings: [] })
    expect(await instants('Q39%')).toEqual(['2020-01-20 15:00:00.000000', '2020-01-20 10:00:00.000000'])
  })

  test('are accepted in the formats of spreadsheets, pandas and databases', async () => {
    const written = [
      ['2024-03-05 10:00', '15:00:00.000000'],
      ['2024-03-05 10:00:00', '15:00:00.000000'],
      ['2024-03-05T10:00:00', '15:00:00.000000'],
      ['2024-03-05 10:00:00.000', '15:00:00.000000'],
      ['2024-03-05 10:00:00.1230000', '15:00:00.123000'],
      ['2024-03-05 10:00:00.123456', '15:00:00.123456'],
      ['2024-03-05 10:00:00.123456000', '15:00:00.123456'],
      ['2024-03-05 10:00:00+00', '10:00:00.000000'],
      ['2024-03-05 10:00:00+00:00', '10:00:00.000000'],
      ['2024-03-05 10:00:00.123456-05', '15:00:00.123456'],
      ['2024-03-05 10:00:00.1234560 -05:00', '15:00:00.123456'],
      ['2024-03-05T10:00:00.123Z', '10:00:00.123000'],
      ['5/3/2024 10:00', '15:00:00.000000'],
      ['05/03/2024 9:05', '14:05:00.000000'],
      ['5/03/2024 9:05:07', '14:05:07.000000'],
    ]
    const rows = written.map(
      ([at], index) => `W${String(index).padStart(2, '0')},${at},A,N,C,2024-03-06 00:00:00,3.0`,
    )
    const { job } = await files.import(
      'orders',
      `order_id,timestamp,company,warehouse,customer_id,source_modified_timestamp,items_count\n${rows.join('\n')}\n`,
    )
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: written.length }, warnings: [] })
    expect(await instants('W%')).toEqual(written.map(([, time]) => `2024-03-05 ${time}`))
  })
})

test('numbers with declared thousands separators are loaded correctly', async () => {
  const dataset = await files.dataset([
    {
      name: 'a',
      type: 'decimal',
      precision: 12,
      scale: 2,
      decimalMark: 'comma',
      thousandsMarks: ['point', 'blank'],
    },
    { name: 'b', type: 'integer', thousandsMarks: ['apostrophe'], zeroFraction: 'point' },
  ])
  const { job } = await files.import(
    dataset,
    "a;b\n1.234,56;1'234.0\n1\u00a0234,5;7\n12\u202f345\u202f678;120.00\n",
  )
  expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 3 }, warnings: [] })
  expect(await files.rows(dataset)).toEqual([
    { a: '1234.56', b: '1234' },
    { a: '1234.50', b: '7' },
    { a: '12345678.00', b: '120' },
  ])
})
