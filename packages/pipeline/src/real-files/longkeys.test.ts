import { randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { ProblemError } from '@aduana/contracts/problems'
import { saveMetricAs, saveSeriesAs } from '@aduana/metrics/commands'
import { undone } from '@aduana/testkit/undo'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ColumnInput, openRealFiles, type RealFiles, realFile } from '../testing/real-files.ts'

let files: RealFiles
beforeAll(async () => {
  files = await openRealFiles()
})
afterAll(() => files.close())

const query = async (sql: string, values: unknown[] = []) =>
  (await files.system.database.pool.query(sql, values)).rows
const reasonsOf = ({ rejects }: Awaited<ReturnType<RealFiles['import']>>) =>
  rejects.map(({ record, reasons }) => [
    record,
    ...new Set(reasons.map(({ column, code }) => `${column}: ${code}`)),
  ])

/** Characters of four bytes each, which neither cleaning nor compression makes shorter. */
const wide = (characters: number) =>
  Array.from({ length: characters }, () => String.fromCodePoint(randomInt(0xf0000, 0xffffe))).join('')
const ascii = (characters: number) =>
  Array.from({ length: characters }, () => String.fromCharCode(randomInt(0x30, 0x3a), randomInt(0x41, 0x5b)))
    .join('')
    .slice(0, characters)

const key = (more: Partial<Extract<ColumnInput, { type: 'text' }>> = {}, name = 'k') =>
  ({ name, type: 'text', required: true, ...more }) as const
const value: ColumnInput = { name: 'v', type: 'text' }
const upsert = (columns: readonly ColumnInput[], names: [string, ...string[]] = ['k']) =>
  files.dataset([...columns, value], { loadMode: 'upsert', key: names })

async function problemsOf(saved: Promise<unknown>): Promise<unknown> {
  try {
    await saved
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'invalid_dataset') return error.extra.problems
    throw error
  }
  throw new Error('the definition was accepted')
}

describe('a key that is too long for its index', () => {
  test.each([
    ['as it is', (text: Buffer) => text],
    ['packed', (text: Buffer) => gzipSync(text)],
    ['of UTF-16', (text: Buffer) => Buffer.from(`\uFEFF${text}`, 'utf16le')],
  ])('rejects only its record if no length is written (file %s)', async (_, made) => {
    const dataset = await upsert([key()])
    const imported = await files.import(
      dataset,
      made(await readFile(realFile('h06-key-longer-than-index.csv'))),
    )
    expect(imported.job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 5, quarantined: 1 } })
    expect(reasonsOf(imported)).toEqual([[6, 'k: too_long']])
  })

  test('of several columns is rejected for its total length', async () => {
    const dataset = await upsert([key({}, 'k'), key({ maxLength: 300 }, 'l')], ['k', 'l'])
    const most = 2672
    const lines = [
      `${wide(300)},${wide(300)}`,
      `${ascii(most - 1201)}b,${wide(300)}`,
      `c${ascii(most - 1200)},${wide(300)}`,
    ]
    const imported = await files.import(dataset, `k,l,v\n${lines.map((line) => `${line},x\n`).join('')}`)
    expect(imported.job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 2, quarantined: 1 } })
    expect(reasonsOf(imported)).toEqual([[3, 'k: too_long']])
    expect(imported.rejects[0]?.reasons[0]?.message).toMatch(
      /^together, k, l have 2673 bytes; .* at most 2672$/,
    )
  })

  test('is refused in a definition whose lengths allow it', async () => {
    for (const maxLength of [671, 4000, 1_000_000])
      expect(await problemsOf(upsert([key({ maxLength })]))).toMatchObject([
        {
          path: 'columns[0].maxLength',
          code: 'key_too_long',
          message: expect.stringMatching(/^"k" .* at most 2680\. Set a maxLength of at most 670 or none/),
        },
      ])
    expect(
      await problemsOf(upsert([key({ maxLength: 300 }, 'k'), key({ maxLength: 369 }, 'l')], ['k', 'l'])),
    ).toMatchObject([
      {
        code: 'key_too_long',
        message: expect.stringMatching(/^"k" .*, "l" .* may have 2676 bytes together/),
      },
    ])
  })
})

describe('the longest key that a definition allows', () => {
  test.each([
    ['of any characters', key({ maxLength: 670 }), wide, 670],
    ['of ASCII by its pattern', key({ maxLength: 2680, pattern: '[0-9A-Z]+' }), ascii, 2680],
    ['without a written length', key(), ascii, 2680],
  ])('%s is loaded, updated and undone; a longer one is a reject', async (_, column, text, most) => {
    const dataset = await upsert([column])
    const [first, other] = [text(most), text(most)]
    const imported = await files.import(dataset, `k,v\n${first},1\n${text(most + 1)},2\n${other},3\n`)
    expect(imported.job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 2, quarantined: 1 } })
    expect(reasonsOf(imported)).toEqual([[2, 'k: too_long']])
    const again = await files.import(dataset, `k,v\n${first},4\n${other},3\n`)
    expect(again.job).toMatchObject({ status: 'COMPLETED', counts: { updated: 1, unchanged: 1 } })
    expect((await files.rows(dataset)).map(({ k, v }) => [k === first, v]).sort()).toEqual([
      [false, '3'],
      [true, '4'],
    ])
    expect(await undone(files.system, again.job.id)).toMatchObject({ status: 'COMPLETED' })
    expect((await files.rows(dataset)).map(({ v }) => v).sort()).toEqual(['1', '3'])
  })

  test('is added to a dimension; a longer code is rejected', async () => {
    await query(`create table dim_long (id bigint generated always as identity, code text not null unique, created_by_job uuid);
      create table own.coded (id bigint primary key, m_id bigint)`)
    const dimension = { table: 'dim_long', key: 'code', idColumn: 'm_id', onMissing: 'create' } as const
    const coded = (more: object) =>
      files.dataset([{ name: 'm', type: 'text', dimension, ...more }], {
        table: { schema: 'own', name: 'coded' },
      })
    expect(await problemsOf(coded({ maxLength: 671 }))).toMatchObject([{ code: 'key_too_long' }])
    const codes = [wide(670), ascii(2680)]
    const imported = await files.import(await coded({}), `m\n${codes.join('\n')}\n${wide(671)}\nx\n`)
    expect(imported.job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 3, quarantined: 1 } })
    expect(reasonsOf(imported)).toEqual([[3, 'm: too_long']])
    expect((await query('select code from dim_long')).map(({ code }) => code).sort()).toEqual(
      [...codes, 'x'].sort(),
    )
  })

  test('works as a replace scope with its window, its owner and its rows', async () => {
    const columns = [{ name: 'day', type: 'date', required: true }, key({ maxLength: 255 }, 'plant')] as const
    const dataset = await files.dataset(columns, {
      ...{ loadMode: 'replace-window', windowColumn: 'day', replaceScope: 'plant' },
    })
    const plant = wide(255)
    const lines = ['2026-01-01', '2026-01-02'].map((day) => `${day},${plant}\n`)
    for (const count of [2, 1]) {
      const { job } = await files.import(dataset, `day,plant\n${lines.slice(0, count).join('')}`)
      expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: count } })
    }
    expect(
      await query(
        `select scope = $1 as same from window_ledger l join datasets d on d.id = l.dataset_id where d.code = $2`,
        [plant, dataset],
      ),
    ).toEqual([{ same: true }, { same: true }])
  })
})

test('a company with a name too long for metrics is rejected; the others have metrics', async () => {
  const columns = [
    { name: 'day', type: 'date', required: true },
    { name: 'company', type: 'text' },
  ] as const
  const scoped = { windowColumn: 'day', scope: { company: 'company' } } as const
  const written = files.dataset([columns[0], { ...columns[1], maxLength: 101 }], scoped)
  expect(await problemsOf(written)).toMatchObject([{ path: 'columns[1].maxLength', code: 'key_too_long' }])
  const dataset = await files.dataset(columns, scoped)
  const title = { en: 'Rows', es: 'Filas' }
  const { database, admin } = files.system
  await saveSeriesAs(database.db, admin, { code: `${dataset}.rows`, title, dataset, column: null })
  await saveMetricAs(database.db, admin, `${dataset}.rows`, {
    ...{ title, grain: 'company' },
    expression: { type: 'aggregate', op: 'count', series: `${dataset}.rows` },
  })
  const company = wide(100)
  const lines = [company, 'x'.repeat(101), company, 'Andina'].map((name) => `2026-01-01,${name}\n`)
  const imported = await files.import(dataset, `day,company\n${lines.join('')}`)
  expect(imported.job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 3, quarantined: 1 } })
  expect(imported.rejects.map(({ reasons }) => reasons)).toMatchObject([
    [
      {
        column: 'company',
        code: 'too_long',
        message: 'the value has 101 characters; the name of a company or warehouse can have at most 100',
      },
    ],
  ])
  await files.system.work()
  expect(
    await query(`select company, value::int from daily_metrics where metric_name = $1 order by value`, [
      `${dataset}.rows`,
    ]),
  ).toEqual([
    { company: 'Andina', value: 1 },
    { company, value: 2 },
  ])
})
