import { gzipSync } from 'node:zlib'
import { listRejects } from '@aduana/jobs/read/rejects'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openRealFiles, type RealFiles, realFile } from '../testing/real-files.ts'

let files: RealFiles
beforeAll(async () => {
  files = await openRealFiles()
})
afterAll(() => files.close())

const COLUMNS = [
  { name: 'k', type: 'text' as const },
  { name: 'n', type: 'integer' as const },
]
/** Records that fail by a rule or for their structure, among good ones, with characters of one to four bytes. */
const RECORDS = [
  'a;1',
  'ñandú;x',
  '"line one\nline two ☂";y',
  'too;many;columns',
  'b;2',
  '𝒳𝒳;z',
  'nul\0;3',
  'last;w',
]
const BAD = RECORDS.filter((_, index) => index !== 0 && index !== 4)
const WINDOWS = RECORDS.map((record) => record.replace(/☂|𝒳/gu, '€'))
const text = (records: readonly string[], lineEnd = '\n') => `k;n${lineEnd}${records.join(lineEnd)}${lineEnd}`
const bigEndian = (content: string) => Buffer.from(content, 'utf16le').swap16()
const windows1252 = (content: string) => Buffer.from(content.replaceAll('€', '\x80'), 'latin1')

/** What a person does: takes the original, unpacks it, and looks at the bytes that a reject names. */
async function bytesOf(
  original: Buffer,
  rejects: readonly { offset: number | null; length: number | null }[],
) {
  return rejects.map(({ offset, length }) => original.subarray(offset ?? -1, (offset ?? -1) + (length ?? -1)))
}

describe('the bytes of a reject are at its offset and length', () => {
  test.each([
    ['UTF-8', text(RECORDS), (part: string) => Buffer.from(part), BAD, 'utf-8'],
    [
      'UTF-8 with a BOM and CRLF',
      `\uFEFF${text(RECORDS, '\r\n')}`,
      (part: string) => Buffer.from(part),
      BAD,
      'utf-8',
    ],
    [
      'Windows-1252',
      text(WINDOWS),
      windows1252,
      WINDOWS.filter((_, i) => i !== 0 && i !== 4),
      'windows-1252',
    ],
    [
      'UTF-16LE with a BOM',
      `\uFEFF${text(RECORDS)}`,
      (part: string) => Buffer.from(part, 'utf16le'),
      BAD,
      'utf-16le',
    ],
    ['UTF-16BE with a BOM and CRLF', `\uFEFF${text(RECORDS, '\r\n')}`, bigEndian, BAD, 'utf-16be'],
    [
      'UTF-16LE without a BOM',
      text(RECORDS),
      (part: string) => Buffer.from(part, 'utf16le'),
      BAD,
      'utf-16le',
    ],
  ])('of a file in %s, plain and packed by gzip', async (_what, content, encode, bad, encoding) => {
    const dataset = await files.dataset(COLUMNS)
    const bytes = encode(content)
    for (const sent of [bytes, gzipSync(bytes)]) {
      const form = { force: 'true', ...(encoding === 'windows-1252' ? { encoding } : {}) }
      const { job, rejects } = await files.import(dataset, sent, form)
      expect(job).toMatchObject({ status: 'COMPLETED', counts: { records: RECORDS.length, loaded: 2 } })
      expect(await bytesOf(bytes, rejects)).toEqual(bad.map((record) => encode(record)))
      expect(rejects.map(({ raw }) => raw)).toEqual(bad.map((record) => record.replace('\0', '\u2400')))
      const lines = (await files.system.artifact(job.id, 'rejects.ndjson')).trim().split('\n')
      const inFile = lines.map((line) => JSON.parse(line))
      expect(await bytesOf(bytes, inFile)).toEqual(bad.map((record) => encode(record)))
      expect(inFile.map(({ raw }) => raw)).toEqual(bad)
    }
  })

  test('and so are those of duplicates', async () => {
    const dataset = await files.dataset(COLUMNS, { unique: { columns: ['k'] } })
    const bytes = Buffer.from(text(['ñ;1', '☂;2', 'ñ;1']), 'utf16le')
    const { job } = await files.import(dataset, bytes)
    const [line = ''] = (await files.system.artifact(job.id, 'duplicates.ndjson')).split('\n')
    expect(await bytesOf(bytes, [JSON.parse(line)])).toEqual([Buffer.from('ñ;1', 'utf16le')])
  })

  test('of bytes that are not UTF-8, which the reason names', async () => {
    const dataset = await files.dataset([
      { name: 'c1', type: 'text' },
      { name: 'c2', type: 'text' },
    ])
    const { rejects } = await files.import(dataset, realFile('h13-invalid-utf8-raw.csv'))
    expect(rejects).toMatchObject([
      {
        ...{ record: 2, offset: 19, length: 9, rawTruncated: false, raw: '2,ca\uFFFDer\uFFFDa' },
        reasons: [
          {
            code: 'invalid_utf8',
            message:
              '2 bytes are not valid UTF-8: 0xF1 at offset 23, 0xED at offset 26 (offsets in the file)',
            value: '0xF1',
          },
        ],
      },
    ])
  })

  test('of code units that are not UTF-16, which the reason names', async () => {
    const dataset = await files.dataset(COLUMNS)
    const whole = Buffer.from(`\uFEFF${text(['ñ\uD800;1', 'b;2', 'c;3'])}`, 'utf16le')
    const bytes = Buffer.concat([whole.subarray(0, -2), Buffer.from('x')])
    const { rejects } = await files.import(dataset, bytes)
    expect(rejects.map(({ reasons }) => reasons[0]?.message)).toEqual([
      'the unpaired surrogate at offset 12 of the file is not valid UTF-16',
      `the incomplete last character at offset ${bytes.length - 1} of the file is not valid UTF-16`,
    ])
    expect(await bytesOf(bytes, rejects)).toEqual([
      Buffer.from('ñ\uD800;1', 'utf16le'),
      Buffer.concat([Buffer.from('c;3', 'utf16le'), Buffer.from('x')]),
    ])
  })

  test('of a record with truncated text, which is marked as such', async () => {
    const dataset = await files.dataset(COLUMNS)
    const long = `${'☂'.repeat(50_000)};x`
    const bytes = Buffer.from(`\uFEFF${text([long, 'b;y'])}`, 'utf16le')
    const { rejects } = await files.import(dataset, bytes)
    expect(rejects.map(({ rawTruncated }) => rawTruncated)).toEqual([true, false])
    expect(rejects[0]?.raw).toBe('☂'.repeat(21_845))
    expect(await bytesOf(bytes, rejects)).toEqual([long, 'b;y'].map((part) => Buffer.from(part, 'utf16le')))
  })
})

describe('the rejects of a job', () => {
  const list = (id: string, query: { cursor?: string; limit: number }) =>
    listRejects({ db: files.system.database.db, store: files.system.store }, files.system.admin, id, query)

  async function pages(id: string, limit: number) {
    const items: Awaited<ReturnType<typeof list>>['items'] = []
    let cursor: string | null = null
    do {
      const page: Awaited<ReturnType<typeof list>> = await list(
        id,
        cursor === null ? { limit } : { cursor, limit },
      )
      expect(page.items.length).toBeLessThanOrEqual(limit)
      items.push(...page.items)
      cursor = page.next
    } while (cursor !== null)
    return items
  }

  test('can be written to a file with the header and the delimiter', async () => {
    const dataset = await files.dataset(COLUMNS)
    const content = `A title;;\r\n"k"; N \r\n${RECORDS.join('\r\n')}\r\n`
    const { job, rejects } = await files.import(dataset, Buffer.from(content, 'utf16le'))
    const { file } = await list(job.id, { limit: 1 })
    expect(file).toEqual({
      ...{ header: '"k"; N ', headerTruncated: false, delimiter: ';' },
      ...{ encoding: 'utf-16le', format: 'plain' },
    })
    const again = await files.import(dataset, [file?.header, ...rejects.map(({ raw }) => raw)].join('\n'))
    expect(again.rejects.map(({ raw }) => raw)).toEqual(
      rejects.map(({ raw }) => raw).filter((raw) => !raw.includes('\u2400')),
    )
  })

  test('of a dry run are listed as those of the import would be, page by page', async () => {
    const dataset = await files.dataset(COLUMNS)
    const dry = await files.import(dataset, text(RECORDS), { dryRun: 'true' })
    const real = await files.import(dataset, text(RECORDS))
    const same = (items: typeof real.rejects) =>
      items.map(({ id, jobId, state, raw, ...rest }) => ({ ...rest, raw: raw.replace('\0', '\u2400') }))
    expect(same(dry.rejects)).toEqual(same(real.rejects))
    expect(dry.rejects.map(({ state }) => state)).toEqual(BAD.map(() => null))
    for (const limit of [1, 2, BAD.length]) expect(await pages(dry.job.id, limit)).toEqual(dry.rejects)
    expect((await list(dry.job.id, { limit: 1 })).file).toMatchObject({ header: 'k;n' })
  })

  test('of a dry run that stopped reading early are listed too', async () => {
    const dataset = await files.dataset(COLUMNS, { maxRejectRatio: 0 })
    const { job, rejects } = await files.import(dataset, text(Array(12_000).fill('a;b;c')), {
      dryRun: 'true',
    })
    expect(job).toMatchObject({ status: 'FAILED', error: { code: 'too_many_rejects', readToEnd: false } })
    expect(rejects).toHaveLength(500)
    expect(await pages(job.id, 1000)).toHaveLength(Number(job.error?.kept))
  })

  test('are refused with a cursor of another list, or within a record', async () => {
    const dataset = await files.dataset(COLUMNS)
    const dry = await files.import(dataset, text(RECORDS), { dryRun: 'true' })
    for (const position of [['2'], ['file', '7'], ['file', '-1']]) {
      const cursor = Buffer.from(JSON.stringify(position)).toString('base64url')
      await expect(list(dry.job.id, { cursor, limit: 10 })).rejects.toMatchObject({ code: 'bad_request' })
    }
  })
})
