import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { inspectDialect, inspectFile } from './inspect.ts'
import { openCutter } from './raw-records.ts'
import type { Encoding } from './text.ts'
import { transcode } from './transcode.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aduana-engine-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function run(
  bytes: Buffer,
  format: 'plain' | 'gzip' = 'plain',
  encoding: Encoding | 'auto' = 'auto',
  maxBytes?: number,
) {
  const path = join(folder, 'original')
  await writeFile(path, bytes)
  const options = {
    delimiter: ';',
    quote: '"',
    expectedColumns: 2,
    columns: [0, 1],
    startOffset: 4,
    startLine: 2,
  }
  const files = { canonical: join(folder, 'canonical'), rejects: join(folder, 'rejects') }
  const found = await transcode({
    source: { path, format, ...(maxBytes ? { maxBytes } : {}) },
    encoding,
    ...files,
    ...options,
  })
  const rejects = gunzipSync(await readFile(files.rejects))
    .toString()
    .split('\n')
    .filter(Boolean)
  return {
    found,
    values: (await readFile(files.canonical, 'utf8'))
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split('\x1f').slice(3, -1)),
    rejects: rejects.map((line) => JSON.parse(line)),
    path,
  }
}

const latin = (text: string) => Buffer.from(text, 'latin1')
const ascii = 'abc;def\n'.repeat(200_000)

describe('an undeclared encoding', () => {
  test('is windows-1252 when the first accent, megabytes into the file, is not UTF-8', async () => {
    const { found, values, rejects } = await run(latin(`a;b\n${ascii}Mu\xf1oz;\x80\n`))
    expect(found).toMatchObject({ encoding: 'windows-1252', records: 200_001, good: 200_001 })
    expect(values.at(-1)).toEqual(['Muñoz', '€'])
    expect(rejects).toEqual([])
  })

  test('stays UTF-8 when accents are UTF-8 and one record is not: that one is rejected', async () => {
    const { found, values, rejects } = await run(
      Buffer.concat([Buffer.from(`a;b\n${ascii}añb;ç\n`), latin('x;\xf1\n'), Buffer.from('y;ñ\n')]),
    )
    expect(found).toMatchObject({ encoding: 'utf-8', records: 200_003, good: 200_002 })
    expect(values.slice(-2)).toEqual([
      ['añb', 'ç'],
      ['y', 'ñ'],
    ])
    expect(rejects).toMatchObject([
      { record: 200_002, line: 200_003, reasons: [{ code: 'invalid_utf8', value: '0xF1' }] },
    ])
  })

  test('is also found by the bytes of records that are rejected for another reason', async () => {
    const { found, rejects } = await run(latin('a;b\n1;2\nMu\xf1oz\n"x"\xf1;2\n'))
    expect(found.encoding).toBe('windows-1252')
    expect(rejects.map(({ raw }) => raw)).toEqual(['Muñoz', '"x"ñ;2'])
  })
})

describe('UTF-16', () => {
  const text = 'a;b\nñ€;😀\n"x\ny";2\n1\n'
  test.each([
    ['utf-16le', Buffer.from(text, 'utf16le')],
    ['utf-16be', Buffer.from(text, 'utf16le').swap16()],
  ] as const)(
    '%s is read as UTF-8, and what is cut has its place in the original',
    async (encoding, bytes) => {
      const { found, values, rejects, path } = await run(bytes, 'plain', encoding)
      expect(found).toMatchObject({ encoding, records: 3, good: 2, bytes: Buffer.byteLength(text) })
      expect(values).toEqual([
        ['ñ€', '😀'],
        ['x\x1ey', '2'],
      ])
      const cutter = openCutter({ path, format: 'plain', encoding })
      expect(await cutter.cut(rejects[0].offset, rejects[0].length)).toEqual({
        ...{ raw: '1', truncated: false, invalid: null },
        ...{ offset: 36, length: 2 },
      })
      await cutter.close()
    },
  )

  test('a lone surrogate is a reject, not a character that was never sent', async () => {
    const bytes = Buffer.from('a;b\nx;_\n', 'utf16le')
    bytes.writeUInt16LE(0xd800, 12)
    const { rejects } = await run(bytes, 'plain', 'utf-16le')
    expect(rejects).toMatchObject([{ record: 1, reasons: [{ code: 'invalid_utf8' }] }])
  })
})

describe('gzip', () => {
  test('of several members is one file', async () => {
    const { found } = await run(Buffer.concat([gzipSync('a;b\n1;2\n'), gzipSync('3;4\n')]), 'gzip')
    expect(found).toMatchObject({ records: 2, good: 2 })
  })

  test('cut short is an error, not a shorter file', async () => {
    const whole = gzipSync(`a;b\n${Array.from({ length: 50_000 }, (_, i) => `${i * 7919};${i}\n`).join('')}`)
    await expect(run(whole.subarray(0, whole.length - 20), 'gzip')).rejects.toMatchObject({
      code: 'bad_input',
      message: expect.stringContaining('truncated'),
    })
  })

  test('damaged is an error', async () => {
    const whole = gzipSync(`a;b\n${Array.from({ length: 50_000 }, (_, i) => `${i * 7919};${i}\n`).join('')}`)
    whole.fill(0x55, 2000, 2100)
    await expect(run(whole, 'gzip')).rejects.toMatchObject({ code: 'bad_input' })
  })

  test('that unpacks to too much is rejected', async () => {
    const bomb = gzipSync(Buffer.alloc(30 << 20, 'a'))
    await expect(run(bomb, 'gzip', 'auto', 10 << 20)).rejects.toMatchObject({ code: 'bad_input' })
    const steep = gzipSync(Buffer.alloc(5 << 20, 'a'), { level: 9 })
    await expect(run(steep, 'gzip')).rejects.toMatchObject({
      code: 'bad_input',
      message: expect.stringContaining('400 times'),
    })
  })

  test('that is honest and steep is read: a thousand columns that are nearly all empty', async () => {
    const line = (n: number) => `${n};${';'.repeat(500)}1${';'.repeat(498)}\n`
    const text = `a;b\n${Array.from({ length: 6000 }, (_, n) => line(n)).join('')}`
    const { found } = await run(gzipSync(text, { level: 9 }), 'gzip')
    expect(found).toMatchObject({ records: 6000, bytes: Buffer.byteLength(text) })
  })
})

describe('inspection of a file', () => {
  test('sees through gzip and UTF-16 to the header', async () => {
    const path = join(folder, 'x.csv')
    await writeFile(path, gzipSync(Buffer.from('\ufeffFecha\tTurno\n1\t2\n', 'utf16le')))
    const { inspection, result } = await inspectDialect(path, { knownNames: ['fecha', 'turno'] })
    expect(inspection).toMatchObject({
      kind: 'csv',
      format: 'gzip',
      encoding: 'utf-16le',
      bom: true,
      complete: true,
    })
    expect(result).toMatchObject({
      found: true,
      dialect: { delimiter: '\t', dataOffset: 15, header: { cells: ['Fecha', 'Turno'] } },
    })
  })

  test('prefers a byte order mark to the declared encoding, unless the text after it contradicts the mark', async () => {
    const path = join(folder, 'x.csv')
    const look = (encoding: Encoding) => inspectDialect(path, { knownNames: ['fecha'], encoding })
    await writeFile(path, '\ufefffecha;año\n')
    expect(await look('windows-1252')).toMatchObject({
      inspection: { encoding: 'utf-8' },
      result: { dialect: { header: { cells: ['fecha', 'año'] } } },
    })
    await writeFile(path, Buffer.from('\ufefffecha;b\n', 'utf16le'))
    expect(await look('utf-8')).toMatchObject({ inspection: { encoding: 'utf-16le' } })
    await writeFile(path, Buffer.concat([Buffer.from('\ufeff'), latin('fecha;a\xf1o\n')]))
    expect(await look('windows-1252')).toMatchObject({
      inspection: { encoding: 'windows-1252' },
      result: { dialect: { header: { cells: ['fecha', 'año'] } } },
    })
  })

  test('names the kind of a file that it cannot read', async () => {
    const path = join(folder, 'x.csv')
    await writeFile(path, '')
    expect(await inspectFile(path)).toEqual({ kind: 'empty' })
    await writeFile(path, gzipSync('%PDF-1.4'))
    expect(await inspectFile(path)).toEqual({ kind: 'unsupported', found: 'a PDF document' })
  })
})

test('cut text is exact, capped without splitting a character, and only ever moves forward', async () => {
  const path = join(folder, 'original')
  await writeFile(path, `head\n${'ñ'.repeat(100)}\n${'x'.repeat(3 << 20)}\nend`)
  const cutter = openCutter({ path, format: 'plain', encoding: 'utf-8' }, 11)
  expect(await cutter.cut(0, 4)).toMatchObject({ raw: 'head', truncated: false })
  expect(await cutter.cut(5, 200)).toMatchObject({ raw: 'ñññññ', truncated: true })
  expect(await cutter.cut(206 + (3 << 20) + 1, 3)).toMatchObject({ raw: 'end', truncated: false })
  await expect(cutter.cut(206 + (3 << 20), 10)).rejects.toMatchObject({ code: 'bad_input' })
  await cutter.close()
})
