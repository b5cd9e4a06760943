import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Engine, ParseInput } from './engine.ts'
import type { TaskProgress } from './protocol.ts'
import { openTestEngine, type TestEngine } from './testing/engine.ts'
import { randomSource } from './testing/scan.ts'

let own: TestEngine
let engine: Engine
let job = ''

beforeAll(async () => {
  own = await openTestEngine()
  engine = own.engine
})
afterAll(() => own.close())
beforeEach(async () => {
  job = await own.addJob()
})

const rows = (sql: string, params?: string[]) => own.rows(job, sql, params)

async function parseInput(text: string | Buffer, extra: Partial<ParseInput> = {}): Promise<ParseInput> {
  const input = join(own.root, `original-${Math.random().toString(36).slice(2)}`)
  await writeFile(input, text)
  return {
    workDir: job,
    input,
    output: join(job, 'parsed.parquet'),
    rejects: join(job, 'structural.ndjson'),
    format: 'plain',
    encoding: 'auto',
    delimiter: ';',
    quote: '"',
    dataOffset: 6,
    dataLine: 2,
    expectedColumns: 3,
    columns: [
      { index: 2, name: 'tercera' },
      { index: 0, name: 'primera' },
    ],
    ...extra,
  }
}

describe('parse', () => {
  test('writes each valid record with its position, the selected columns in order, line breaks restored', async () => {
    const result = await engine.parse(await parseInput('a;b;c\n1;x;"uno\r\ndos"\n2;y\n"";z;ñ\n'))
    expect(result).toMatchObject({
      records: 3,
      good: 2,
      structuralRejects: 1,
      skipped: 0,
      embedded: true,
      encoding: 'utf-8',
      rejectCounts: { missing_columns: 1 },
    })
    expect(await rows(`SELECT * FROM '${job}/parsed.parquet' ORDER BY _rec`)).toEqual([
      { _rec: 1, _line: 2, _off: 6, _len: 14, tercera: 'uno\r\ndos', primera: '1' },
      { _rec: 3, _line: 5, _off: 25, _len: 7, tercera: 'ñ', primera: null },
    ])
    expect(await readdir(job)).toEqual(['parsed.parquet', 'structural.ndjson'])
  })

  test('restores line breaks in every column that holds one and leaves the others alone', async () => {
    const columns = [
      { index: 1, name: 'b' },
      { index: 1, name: 'again' },
      { index: 2, name: 'c' },
      { index: 0, name: 'a' },
    ]
    await engine.parse(await parseInput('a;b;c\n1;"\n";x\n2;y;"\r"\n3;z;\n', { columns }))
    expect(await rows(`SELECT b, again, c, a FROM '${job}/parsed.parquet' ORDER BY _rec`)).toEqual([
      { b: '\n', again: '\n', c: 'x', a: '1' },
      { b: 'y', again: 'y', c: '\r', a: '2' },
      { b: 'z', again: 'z', c: null, a: '3' },
    ])
  })

  test('of a file without records gives an empty table', async () => {
    expect(await engine.parse(await parseInput('a;b;c\n'))).toMatchObject({ records: 0, good: 0 })
    expect(await rows(`SELECT count(*) AS n FROM '${job}/parsed.parquet'`)).toEqual([{ n: 0 }])
  })

  test('accepts records up to the limit, also if windows-1252 triples their size and they are last', async () => {
    const long = Buffer.alloc((1 << 20) - 10, 0x80)
    const bytes = Buffer.concat([Buffer.from('a;b;c\n1;2;3\n'), long, Buffer.from(';2;3')])
    expect(await engine.parse(await parseInput(bytes))).toMatchObject({
      records: 2,
      good: 2,
      encoding: 'windows-1252',
    })
    expect(
      await rows(`SELECT length(primera) AS n, right(primera, 1) AS c FROM '${job}/parsed.parquet'`),
    ).toEqual([
      { n: 1, c: '1' },
      { n: long.length, c: '€' },
    ])
  })

  test.each([90_000, 1_040_000])('loses no record of up to %d bytes among short ones', async (longest) => {
    const random = randomSource(longest)
    const lines = Array.from({ length: 3_000 }, (_, i) => {
      const length = random(150) === 0 ? random(longest) : random(200)
      return `${i};${'x'.repeat(length)};${length}`
    })
    lines.push(`last;${'y'.repeat(longest)};${longest}`)
    const columns = ['a', 'b', 'c'].map((name, index) => ({ index, name }))
    const result = await engine.parse(await parseInput(`a;b;c\n${lines.join('\n')}`, { columns }))
    expect(result).toMatchObject({ records: 3_001, good: 3_001 })
    const wrong = `SELECT count(*) AS n FROM '${job}/parsed.parquet' WHERE length(coalesce(b, '')) <> c::BIGINT`
    expect(await rows(wrong)).toEqual([{ n: 0 }])
  })

  test('reports progress that never decreases', async () => {
    const seen: TaskProgress[] = []
    const text = `a;b;c\n${'123456;abcdefgh;some text that goes on\n'.repeat(3_000_000)}`
    await engine.parse(await parseInput(text), { onProgress: (progress) => seen.push(progress) })
    expect(seen.length).toBeGreaterThan(1)
    expect(seen.map(({ fraction }) => fraction)).toEqual(
      seen.map(({ fraction }) => fraction).sort((a, b) => a - b),
    )
    expect(seen.at(-1)).toMatchObject({ phase: 'write', rows: 3_000_000, bytesTotal: text.length })
  })

  test('leaves nothing behind when it fails', async () => {
    const whole = gzipSync(
      `a;b;c\n${Array.from({ length: 20_000 }, (_, i) => `${i * 7919};${i};x\n`).join('')}`,
    )
    const input = await parseInput(whole.subarray(0, whole.length - 9), { format: 'gzip' })
    await expect(engine.parse(input)).rejects.toMatchObject({ code: 'bad_input' })
    expect(await readdir(job)).toEqual([])
  })

  test('refuses to write outside its folder', async () => {
    await expect(
      engine.parse(await parseInput('a;b;c\n', { output: join(own.root, 'x.parquet') })),
    ).rejects.toMatchObject({ code: 'bad_input' })
  })
})

describe('query', () => {
  test('gives values that survive JSON', async () => {
    const sql = `SELECT 5::BIGINT AS small, 9007199254740993::BIGINT AS big, sum(1) AS huge, DATE '2025-01-05' AS day,
      TIMESTAMP '2025-01-05 10:00:00' AS at, 1.50::DECIMAL(5,2) AS money, NULL AS nothing, [1, 2] AS list, {'a': 'x'} AS pair`
    expect(await rows(sql)).toEqual([
      {
        small: 5,
        big: '9007199254740993',
        huge: 1,
        day: '2025-01-05',
        at: '2025-01-05T10:00:00',
        money: '1.50',
        nothing: null,
        list: [1, 2],
        pair: { a: 'x' },
      },
    ])
  })

  test('keeps temporary tables between its statements, binds parameters, counts what it writes', async () => {
    const result = await engine.query({
      workDir: job,
      statements: [
        {
          name: 'make',
          sql: 'CREATE TEMP TABLE t AS SELECT unnest($1::VARCHAR[]) AS v',
          params: [['a', 'b', "c'; drop"]],
          as: 'none',
        },
        {
          name: 'copy',
          sql: `COPY (SELECT * FROM t WHERE v <> $1) TO '${job}/out.csv'`,
          params: ['a'],
          as: 'none',
        },
        {
          name: 'read',
          sql: 'SELECT v, $1 AS n, $2 AS yes, $3 AS half FROM t ORDER BY v LIMIT 1',
          params: [7, true, 0.5],
          as: 'rows',
        },
      ],
    })
    expect(result).toMatchObject({
      copy: { changed: 2 },
      read: { rows: [{ v: 'a', n: 7, yes: true, half: 0.5 }] },
    })
  })

  test('lets the results of a session decide its next queries, in one database', async () => {
    const seen: number[] = []
    const onProgress = ({ fraction }: { fraction: number }) => void seen.push(fraction)
    const answer = await engine.session(
      { workDir: job },
      async (run) => {
        await run([{ name: 'make', sql: 'CREATE TEMP TABLE t AS SELECT 2 AS v', as: 'none' }], { until: 0.1 })
        const { read } = await run([{ name: 'read', sql: 'SELECT v FROM t', as: 'rows' }])
        const { q } = await run([
          { name: 'q', sql: `SELECT v * ${read?.rows[0]?.v} AS v FROM t`, as: 'rows' },
        ])
        return q?.rows
      },
      { onProgress },
    )
    expect(answer).toEqual([{ v: 4 }])
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
    await expect(rows('SELECT v FROM t')).rejects.toMatchObject({ code: 'sql_error' })
  })

  test('ends a session with the error of its work or of its statements', async () => {
    const failing = (sql: string) =>
      engine.session({ workDir: job }, async (run) => {
        await run([{ name: 'q', sql, as: 'rows' }])
        throw new RangeError('the work has seen enough')
      })
    await expect(failing('SELECT 1')).rejects.toThrow(RangeError)
    await expect(failing('SELECT nothing FROM nowhere')).rejects.toMatchObject({ code: 'sql_error' })
    const leaked = await engine.session({ workDir: job }, async (run) => run)
    await expect(leaked([{ name: 'q', sql: 'SELECT 1', as: 'rows' }])).rejects.toThrow('has ended')
    expect(await rows('SELECT 1 AS v')).toEqual([{ v: 1 }])
    expect((await readdir(job)).filter((name) => name.startsWith('.engine'))).toEqual([])
  })

  test('ends a session that is aborted between two of its queries', async () => {
    const abort = new AbortController()
    const session = engine.session(
      { workDir: job },
      async (run) => {
        await run([{ name: 'q', sql: 'SELECT 1', as: 'rows' }])
        abort.abort()
        return run([{ name: 'q', sql: 'SELECT 1', as: 'rows' }])
      },
      { signal: abort.signal },
    )
    await expect(session).rejects.toMatchObject({ code: 'aborted' })
    expect(await rows('SELECT 1 AS v')).toEqual([{ v: 1 }])
  })

  test('refuses more rows than allowed, several statements in one, and invalid SQL', async () => {
    await expect(rows('SELECT * FROM range(200000)')).rejects.toMatchObject({
      code: 'sql_error',
      message: expect.stringContaining('100000 rows'),
    })
    await expect(rows('SELECT 1; SELECT 2')).rejects.toMatchObject({ code: 'sql_error' })
    await expect(rows('SELECT nothing FROM nowhere')).rejects.toMatchObject({ code: 'sql_error' })
  })

  test('can access only the files of its folder', async () => {
    await symlink('/etc/passwd', join(job, 'link'))
    await mkdir(`${job}-evil`)
    for (const sql of [
      "SELECT * FROM read_text('/etc/passwd')",
      `SELECT * FROM read_text('${job}/link')`,
      `SELECT * FROM read_text('${job}/../../../etc/passwd')`,
      `COPY (SELECT 1) TO '${job}-evil/x.csv'`,
      `COPY (SELECT 1) TO '${own.root}/x.csv'`,
      `ATTACH '${own.root}/x.db'`,
      'INSTALL httpfs',
      "SET memory_limit='8GB'",
      'SET enable_external_access=true',
      "SELECT getenv('PATH')",
    ]) {
      await expect(rows(sql), sql).rejects.toMatchObject({ code: 'sql_error' })
    }
  })

  test('that needs more memory and disk than allowed reports it, and the next one works', async () => {
    const greedy =
      'SELECT count(DISTINCT x) AS n FROM (SELECT repeat(md5(range::VARCHAR), 20) AS x FROM range(5000000))'
    await expect(rows(greedy)).rejects.toMatchObject({ code: 'engine_out_of_memory' })
    expect(await rows('SELECT 1 AS one')).toEqual([{ one: 1 }])
  })
})

describe('writeRejects', () => {
  test('merges structural rejects and those by rule, in order, with the original text', async () => {
    const text = 'a;b;c\n1;bad;"x\ny"\n2\n3;ok;z\n4;bad;\u2028ñ\n5;"open;q\n'
    const input = await parseInput(text)
    const { encoding } = await engine.parse(input)
    const result = await engine.writeRejects({
      workDir: job,
      original: input.input,
      format: 'plain',
      encoding,
      structural: input.rejects,
      output: join(job, 'rejects.ndjson'),
      sql: `SELECT *, [{'column': 'primera', 'code': 'odd', 'message': 'is ' || $1, 'value': primera}] AS reasons
        FROM '${job}/parsed.parquet' WHERE primera <> '3' ORDER BY primera DESC`,
      params: ['odd'],
    })
    expect(result).toMatchObject({
      total: 4,
      structural: 2,
      counts: [
        { column: 'primera', code: 'odd', count: 2 },
        { column: null, code: 'missing_columns', count: 1 },
        { column: null, code: 'unterminated_quote', count: 1 },
      ],
    })
    const lines = gunzipSync(await readFile(join(job, 'rejects.ndjson')))
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines.map(({ record, line, raw, rawTruncated }) => ({ record, line, raw, rawTruncated }))).toEqual(
      [
        { record: 1, line: 2, raw: '1;bad;"x\ny"', rawTruncated: false },
        { record: 2, line: 4, raw: '2', rawTruncated: false },
        { record: 4, line: 6, raw: '4;bad;\u2028ñ', rawTruncated: false },
        { record: 5, line: 7, raw: '5;"open;q', rawTruncated: false },
      ],
    )
    expect(lines[0].reasons).toEqual([{ column: 'primera', code: 'odd', message: 'is odd', value: '1' }])
  })

  test('writes the structural rejects alone when no row failed', async () => {
    const input = await parseInput('a;b;c\n1;2;3\n4\n')
    const { encoding } = await engine.parse(input)
    const output = join(job, 'rejects.ndjson')
    const request = { workDir: job, original: input.input, format: 'plain', encoding, output } as const
    expect(await engine.writeRejects({ ...request, structural: input.rejects, sql: null })).toMatchObject({
      total: 1,
      structural: 1,
      counts: [{ column: null, code: 'missing_columns', count: 1 }],
    })
    expect(JSON.parse(gunzipSync(await readFile(output)).toString())).toMatchObject({ record: 2, raw: '4' })
  })

  test('takes reasons as JSON text, and works without structural rejects', async () => {
    const input = await parseInput('a;b;c\n1;2;3\n')
    await engine.parse(input)
    const result = await engine.writeRejects({
      workDir: job,
      original: input.input,
      format: 'plain',
      encoding: 'utf-8',
      structural: null,
      output: join(job, 'rejects.ndjson'),
      sql: `SELECT *, '[{"column":null,"code":"c","message":"m","value":null}]' AS reasons FROM '${job}/parsed.parquet'`,
    })
    expect(result).toMatchObject({ total: 1, structural: 0, counts: [{ column: null, code: 'c', count: 1 }] })
  })
})
