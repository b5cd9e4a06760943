import { gzipSync } from 'node:zlib'
import { ENCODINGS, type Encoding } from '@aduana/engine/text'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openRealFiles, type RealFiles, realFile } from '../testing/real-files.ts'

let files: RealFiles
beforeAll(async () => {
  files = await openRealFiles()
})
afterAll(() => files.close())

const TEXTS = [
  { name: 'k', type: 'text' },
  { name: 'n', type: 'text' },
] as const
const bytes = (latin1: string) => Buffer.from(latin1, 'latin1')
const codes = (warnings: readonly { code: string }[]) => warnings.map(({ code }) => code)

describe('a compressed file', () => {
  test('with another member after zeros is refused, whatever its size', async () => {
    const dataset = await files.dataset([{ name: 'c1', type: 'text' }])
    const zeros = Buffer.alloc(64)
    const small = Buffer.concat([gzipSync('c1\na\n'), zeros, gzipSync('b\n')])
    const lines = Array.from({ length: 300_000 }, (_, n) => `${(n * 7919) % 1_000_003}-${n}\n`).join('')
    const large = Buffer.concat([gzipSync(`c1\n${lines}`), zeros, gzipSync('b\n')])
    expect(large.length).toBeGreaterThan(1 << 20)
    for (const content of [realFile('h01-two-members-with-zeros-between.csv.gz'), small, large]) {
      const { job } = await files.import(dataset, content)
      expect(job).toMatchObject({
        status: 'FAILED',
        error: {
          code: 'unreadable_file',
          detail: expect.stringContaining('has other bytes after its compressed data'),
        },
      })
    }
    expect(await files.rows(dataset)).toEqual([])
  })

  test('of several members with zeros at the end is loaded completely', async () => {
    const dataset = await files.dataset(TEXTS)
    const members = ['k,n\na,1\n', 'b,2\n', 'c,3\n'].map((text) => gzipSync(text))
    const { job } = await files.import(dataset, Buffer.concat([...members, Buffer.alloc(1000)]))
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { loaded: 3 }, warnings: [] })
  })
})

describe('a file is recognized by more than its first letters', () => {
  test('text that begins like an archive is loaded', async () => {
    const dataset = await files.dataset([{ name: 'c1', type: 'text' }])
    const { job } = await files.import(dataset, realFile('h11-ustar-at-257.csv'))
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { quarantined: 0 } })
    for (const name of ['BZh9', 'PAR1', 'GIF89a', 'ORC', 'MZ', 'Obj', 'PK']) {
      const other = await files.dataset([{ name: 'c1', type: 'text', aliases: [name] }])
      expect((await files.import(other, `${name}\nvalue\n`)).job).toMatchObject({ counts: { loaded: 1 } })
    }
  })

  test.each([
    ['plain', (text: string) => Buffer.from(text)],
    ['packed by gzip', (text: string) => gzipSync(text)],
    ['in UTF-16', (text: string) => Buffer.from(`\ufeff${text}`, 'utf16le')],
  ])('an HTML table, %s, is refused', async (_, pack) => {
    const dataset = await files.dataset([{ name: 'fecha', type: 'text' }])
    const html = '<!-- report -->\n<table><tr><th>fecha</th></tr><tr><td>2020-01-14</td></tr></table>'
    const { job } = await files.import(dataset, pack(html))
    expect(job.error).toMatchObject({
      code: 'unreadable_file',
      detail: expect.stringContaining('The file is an HTML table'),
    })
  })
})

describe('the encoding', () => {
  const SPANISH = 'k,n\nMuñoz,año\nGarcía,producción\nAGÜERO,¿qué?\n'
  const rows = [
    { k: 'Muñoz', n: 'año' },
    { k: 'García', n: 'producción' },
    { k: 'AGÜERO', n: '¿qué?' },
  ]
  /** The text above in each encoding, written out: no table of ours made it. */
  const WRITTEN: Partial<Record<Encoding, Buffer>> = {
    'utf-8': Buffer.from(SPANISH),
    'windows-1252': bytes('k,n\nMu\xf1oz,a\xf1o\nGarc\xeda,producci\xf3n\nAG\xdcERO,\xbfqu\xe9?\n'),
    macintosh: bytes('k,n\nMu\x96oz,a\x96o\nGarc\x92a,producci\x97n\nAG\x86ERO,\xc0qu\x8e?\n'),
    ibm850: bytes('k,n\nMu\xa4oz,a\xa4o\nGarc\xa1a,producci\xa2n\nAG\x9aERO,\xa8qu\x82?\n'),
    ibm437: bytes('k,n\nMu\xa4oz,a\xa4o\nGarc\xa1a,producci\xa2n\nAG\x9aERO,\xa8qu\x82?\n'),
    'utf-16le': Buffer.from(SPANISH, 'utf16le'),
    'utf-16be': Buffer.from(SPANISH, 'utf16le').swap16(),
  }

  test.each(ENCODINGS)('%s is read correctly when it is declared', async (encoding) => {
    const dataset = await files.dataset(TEXTS)
    const { job } = await files.import(dataset, WRITTEN[encoding] ?? '', { encoding })
    expect(job).toMatchObject({ status: 'COMPLETED', result: { encoding, encodingSure: true }, warnings: [] })
    expect(await files.rows(dataset)).toEqual(rows)
  })

  test.each(['utf-8', 'windows-1252', 'utf-16le', 'utf-16be'] as const)(
    '%s is detected without a warning',
    async (encoding) => {
      const dataset = await files.dataset(TEXTS)
      const { job } = await files.import(dataset, WRITTEN[encoding] ?? '')
      expect(job).toMatchObject({ result: { encoding, encodingSure: true }, warnings: [] })
      expect(await files.rows(dataset)).toEqual(rows)
    },
  )

  test.each(['macintosh', 'ibm850'] as const)('%s is guessed, with a warning', async (encoding) => {
    const dataset = await files.dataset(TEXTS)
    const { job } = await files.import(dataset, WRITTEN[encoding] ?? '')
    expect(job).toMatchObject({ status: 'COMPLETED', result: { encoding, encodingSure: false } })
    expect(job.warnings).toMatchObject([
      {
        code: 'encoding_unsure',
        message: expect.stringContaining(
          `If ${encoding} is right, declare it for such files: encoding=${encoding} (--encoding ${encoding})`,
        ),
      },
    ])
    expect(await files.rows(dataset)).toEqual(rows)
  })

  test('of two Macintosh accents is reported with the text in both encodings', async () => {
    const { job } = await files.import('production', realFile('08-macroman.csv'))
    expect(job).toMatchObject({ status: 'COMPLETED', result: { encoding: 'macintosh', encodingSure: false } })
    expect(job.warnings.map(({ message }) => message)).toEqual([
      expect.stringContaining('"Revisión año"; in windows-1252, the same text is "Revisi—n a–o"'),
    ])
  })

  test('of ASCII and common Windows characters causes no warning', async () => {
    const dataset = await files.dataset(TEXTS)
    const signs =
      'N\xba 3,1\xaa\n20 \x80,25 \xb0C\n\x93a\x94,it\x92s\nm\xb2,10\xa0000\nx \x96 y,\xbd\nDON\x92T,\xa9\n'
    for (const content of ['k,n\nMunoz,ano\n', bytes(`k,n\n${signs}`), bytes('k,n\nPI\xd1A,MU\xd1OZ\n')]) {
      const { job } = await files.import(dataset, content)
      expect(job).toMatchObject({ status: 'COMPLETED', result: { encodingSure: true }, warnings: [] })
    }
  })

  test('is Windows-1252 although a few of its characters could be UTF-8, with a warning', async () => {
    const dataset = await files.dataset(TEXTS)
    const content = bytes(`k,n\n${'Mu\xf1oz,a\xf1o\n'.repeat(5)}Mu\xc3\xb1oz,x\n`)
    const { job } = await files.import(dataset, content)
    expect(job).toMatchObject({ counts: { loaded: 6, quarantined: 0 }, result: { encoding: 'windows-1252' } })
    expect(job.warnings).toMatchObject([
      {
        code: 'encoding_unsure',
        message: expect.stringContaining('"MuÃ±oz"; in utf-8, the same text is "Muñoz"'),
      },
    ])
  })

  test('is UTF-8 although a few bytes are not: their records are rejected without another warning', async () => {
    const dataset = await files.dataset(TEXTS)
    const content = Buffer.concat([Buffer.from(`k,n\n${'Muñoz,año\n'.repeat(5)}`), bytes('Mu\xf1oz,x\n')])
    const { job, rejects } = await files.import(dataset, content)
    expect(job).toMatchObject({
      counts: { loaded: 5, quarantined: 1 },
      result: { encoding: 'utf-8' },
      warnings: [],
    })
    expect(rejects).toMatchObject([{ record: 6, reasons: [{ code: 'invalid_utf8' }] }])
  })

  test.each([
    ['bytes that it does not define', bytes('k,n\nMu\xf1oz,a\x81b\nGarc\xeda,\xd1\n')],
    ['dashes within words', bytes(`k,n\nMu\xf1oz,Garc\xeda\nb\x97c,d\xa2e\n`)],
  ])('is reported as uncertain if Windows-1252 has %s', async (_, content) => {
    const dataset = await files.dataset(TEXTS)
    const { job } = await files.import(dataset, content)
    expect(job).toMatchObject({ status: 'COMPLETED', result: { encodingSure: false } })
    expect(codes(job.warnings)).toEqual(['encoding_unsure'])
  })

  test('that was declared is used, with a warning if the text looks wrong', async () => {
    const dataset = await files.dataset(TEXTS)
    const { job } = await files.import(dataset, SPANISH, { encoding: 'iso-8859-1' })
    expect(job).toMatchObject({
      status: 'COMPLETED',
      result: { encoding: 'windows-1252', encodingSure: false },
    })
    expect(job.warnings).toMatchObject([
      {
        code: 'encoding_unsure',
        message: expect.stringMatching(/\(declared\).*in utf-8, the same text is "Muñoz"/),
      },
    ])
  })

  test('of the whole file applies to the header, too, even if its beginning looks different', async () => {
    const dataset = await files.dataset([...TEXTS, { name: 'maquina', type: 'text' }])
    const ascii = 'abc,def,ghi\n'.repeat(40_000)
    const accents = 'A\x96o,Revisi\x97n,Garc\x92a\n'.repeat(100)
    const { job } = await files.import(dataset, bytes(`k,n,M\xe7QUINA\n${ascii}${accents}`))
    expect(job).toMatchObject({ status: 'COMPLETED', result: { encoding: 'macintosh', ignoredColumns: [] } })
    expect((await files.rows(dataset)).at(-1)).toEqual({ k: 'Año', n: 'Revisión', maquina: 'García' })
  })

  test('that is unknown is refused in the request', async () => {
    const dataset = await files.dataset(TEXTS)
    await expect(files.import(dataset, 'k,n\n', { encoding: 'utf-7' })).rejects.toThrow(/encoding/)
  })
})
