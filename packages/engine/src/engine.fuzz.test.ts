import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { LONG } from '@aduana/testkit/long'
import { expect, test } from 'vitest'
import { type Engine, startEngine } from './engine.ts'
import { leftOver, readNaively } from './testing/naive-scanner.ts'
import { randomSource } from './testing/scan.ts'
import { byteEncoding, decodeText, type Encoding } from './text.ts'

type Random = (below: number) => number

/** A generated file: its bytes as read, its records as written (null for a broken one), and how it is stored. */
interface Made {
  text: string
  records: (string[] | null)[]
  delimiter: string
  columns: number
  encoding: Encoding
  gzip: boolean
  /** Quotes are left open; then only the naive reader knows the records. */
  hostile: boolean
}

const WORDS = [
  '',
  'a',
  'ñandú',
  '€ 5',
  'x;y,z',
  'say "hi"',
  '"',
  'two\nlines',
  'three\r\nli\rnes',
  ' edge ',
  '|\t|',
  'plain text of some length',
  '0',
]
const NO_VALUES = ['', ' ', ';', ' ; ;', '"";" "', '\ufeff;;;;;;;;;;;;;']
const LINE_ENDS = ['\n', '\r\n', '\r']

function make(random: Random): Made {
  const pick = <T>(of: readonly T[]): T => of[random(of.length)] as T
  const delimiter = pick([';', ',', '\t', '|'])
  const columns = 2 + random(8)
  const hostile = random(3) === 0
  const records: (string[] | null)[] = []
  const header = Array.from({ length: columns }, (_, i) => `c${i}`).join(delimiter)
  let text = `${header}\n`
  const blank = () => pick(['', '', ' ', delimiter === '\t' ? '  ' : '\t'])
  const quoted = (value: string) => `${blank()}"${value.replaceAll('"', '""')}"${blank()}`
  for (let n = random(400); n > 0; n--) {
    const values = Array.from({ length: columns }, () => pick(WORDS))
    values[0] = `r${n}`
    const must = (value: string) => value.startsWith('"') || /[\n\r]/.test(value) || value.includes(delimiter)
    let line = values.map((value) => (must(value) || random(8) === 0 ? quoted(value) : value)).join(delimiter)
    const broken = random(12)
    if (random(20) === 0) text += pick(NO_VALUES).replaceAll(';', delimiter) + pick(LINE_ENDS)
    if (random(30) === 0) line = `\ufeff${line}`
    if (random(10) === 0) line += `${delimiter} ${delimiter}""`
    if (broken === 0) line = `r${n}`
    else if (broken === 1) line += `${delimiter}more`
    else if (broken === 2) line = `r${n}${delimiter}"x"y`
    else if (broken === 3) line = `r${n}\u0000${line}`
    else if (broken === 4 && hostile) line = `r${n}${delimiter}"open`
    else if (broken === 5) line = header
    else if (broken === 6) line = `r${n}${delimiter}"two\nlines"${delimiter}${line}${delimiter}more`
    else {
      records.push(values)
      text += line + pick(LINE_ENDS)
      continue
    }
    records.push(null)
    text += line + pick(LINE_ENDS)
  }
  text += pick(['', '', '\x1a', '\0'.repeat(random(5_000)), '\x1a\r\n'])
  const encoding = pick(['utf-8', 'windows-1252', 'utf-16le', 'utf-16be'] as const)
  return {
    // A byte order mark would be evidence for UTF-8.
    text: encoding === 'windows-1252' ? text.replaceAll('\ufeff', '') : text,
    records,
    delimiter,
    columns,
    hostile,
    encoding,
    gzip: random(3) === 0,
  }
}

function encode(text: string, encoding: Encoding): Buffer {
  if (encoding === 'utf-8') return Buffer.from(text)
  if (encoding === 'windows-1252') return Buffer.from(text.replaceAll('€', '\x80'), 'latin1')
  const wide = Buffer.from(text, 'utf16le')
  return encoding === 'utf-16be' ? wide.swap16() : wide
}

async function check(engine: Engine, seed: number, root: string): Promise<number> {
  const made = make(randomSource(seed))
  const job = join(root, String(seed))
  await mkdir(job)
  const original = join(root, `${seed}.csv`)
  const stored = encode(made.text, made.encoding)
  await writeFile(original, made.gzip ? gzipSync(stored) : stored)
  const format = made.gzip ? 'gzip' : 'plain'
  const names = Array.from({ length: made.columns }, (_, i) => `c${i}`)
  const header = {
    cells: names,
    names: Object.fromEntries(names.map((name) => [name, name])),
    line: 1,
    width: names.length,
  }
  // Files with line ends of all kinds: a record before a short one is not known to be whole.
  const broken = made.hostile ? { lineEnd: 'lf' as const } : {}
  const dataOffset = made.text.indexOf('\n') + 1

  const found = await engine.parse({
    workDir: job,
    input: original,
    output: join(job, 'parsed.parquet'),
    rejects: join(job, 'structural.ndjson'),
    format,
    encoding: made.encoding.startsWith('utf-16') ? made.encoding : 'auto',
    delimiter: made.delimiter,
    quote: '"',
    dataOffset,
    dataLine: 2,
    expectedColumns: made.columns,
    ...broken,
    header,
    columns: names.map((name, index) => ({ index, name })),
  })
  // UTF-16 is read as UTF-8; everything else as it is.
  const kind = byteEncoding(found.encoding)
  const bytes = kind === 'utf-8' ? Buffer.from(made.text) : stored
  const naive = readNaively(bytes, {
    delimiter: made.delimiter,
    quote: '"',
    expectedColumns: made.columns,
    columns: names.map((_, i) => i),
    encoding: kind,
    startOffset: dataOffset,
    startLine: 2,
    ...broken,
    header,
  })
  expect(leftOver(bytes, naive, dataOffset), `bytes of seed ${seed}`).toBe('')
  const { q } = await engine.query({
    workDir: job,
    statements: [{ name: 'q', sql: `SELECT * FROM '${job}/parsed.parquet' ORDER BY _rec`, as: 'rows' }],
  })
  const good = naive.records.filter(({ fields }) => fields)
  expect(q?.rows, `values of seed ${seed}`).toEqual(
    good.map(({ record, line, offset, length, fields = [] }) => ({
      _rec: record,
      _line: line,
      _off: offset,
      _len: length,
      ...Object.fromEntries(names.map((name, i) => [name, fields[i] || null])),
    })),
  )
  expect(found, `counts of seed ${seed}`).toMatchObject({
    records: naive.records.length,
    good: good.length,
    skipped: naive.skipped.length,
  })

  // Every record is called a reject, so that the text of every record is cut out of the original.
  const sql = `SELECT *, [{'column': 'c0', 'code': 'all', 'message': '', 'value': c0}] AS reasons FROM '${job}/parsed.parquet'`
  const output = join(job, 'rejects.ndjson')
  const cut = await engine.writeRejects({
    workDir: job,
    original,
    format,
    encoding: found.encoding,
    structural: join(job, 'structural.ndjson'),
    sql,
    output,
  })
  expect(cut).toMatchObject({ total: found.records, structural: found.structuralRejects })
  const lines = gunzipSync(await readFile(output))
    .toString()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
  expect(
    lines.map(({ record, line, raw }) => ({ record, line, raw })),
    `texts of seed ${seed}`,
  ).toEqual(
    naive.records.map(({ record, line, offset, length }) => ({
      record,
      line,
      raw: decodeText(bytes.subarray(offset, offset + length), kind),
    })),
  )

  if (!made.hostile) {
    expect(found.records, `records of seed ${seed}`).toBe(made.records.length)
    const written = made.records.filter((values) => values !== null)
    const got = q?.rows.map((row) => names.map((name) => row[name] ?? '')) ?? []
    expect(got, `written values of seed ${seed}`).toEqual(written)
  }
  return found.records
}

test('every record of any file is a row equal to what was written or a reject with its exact text', async () => {
  const root = await mkdtemp(join(tmpdir(), 'aduana-fuzz-'))
  const engine = await startEngine({ memoryLimitMb: 256, threads: 2 })
  try {
    const seeds = LONG ? 200 : 20
    let records = 0
    for (let seed = 1; seed <= seeds; seed++) records += await check(engine, seed, root)
    expect(records).toBeGreaterThan(100 * seeds)
  } finally {
    await engine.close()
    await rm(root, { recursive: true, force: true })
  }
})
