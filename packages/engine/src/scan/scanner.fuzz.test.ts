import { LONG } from '@aduana/testkit/long'
import { describe, expect, test } from 'vitest'
import { leftOver, readNaively } from '../testing/naive-scanner.ts'
import { randomSource, scanAll } from '../testing/scan.ts'
import { BYTE_ENCODINGS } from '../text.ts'
import type { ScanOptions } from './options.ts'

const SOUP = [
  ...Buffer.from('ab;;""\n\n\r ,\t'),
  0x00,
  0x1a,
  0x1e,
  0xef,
  0xbb,
  0xbf,
  0xc3,
  0xa9,
  0xf1,
  0xe2,
  0x82,
  0xac,
]
const PIECES = [
  'a";"\n',
  '"x\n',
  '1;2;3\n',
  '1;"a\nb";3\r\n',
  '""',
  ';;',
  '"a;b"',
  'x"y;',
  '\r',
  ';"";\n',
  '1;"2";3;;\n',
  'ñ€;',
  ' "x" ',
  '\u00a0',
  '\u00a0"x"\u00a0;',
  '\u00a0;\u00a0\n',
  '; " y";',
  '\ufeff',
  '\ufeff"',
  '1;2\n',
  'x;y;z\r\n',
  'a;b\n',
  '"A" ;\ufeffb\r\n',
  'b;a\n',
  ';\t;""\n',
  '\x1a\r\n\0',
]

function soup(random: (below: number) => number): Buffer {
  const parts: Buffer[] = []
  for (let i = random(60); i >= 0; i--) {
    parts.push(
      random(3) === 0
        ? Buffer.from(PIECES[random(PIECES.length)] ?? '')
        : Buffer.from([SOUP[random(SOUP.length)] ?? 0]),
    )
  }
  return Buffer.concat(parts)
}

describe('any bytes at all', () => {
  test('the scanner agrees with a naive reader for any chunk sizes, and no byte is lost', () => {
    for (let seed = 1; seed <= (LONG ? 20_000 : 2_000); seed++) {
      const random = randomSource(seed)
      const bytes = soup(random)
      const expectedColumns = 1 + random(4)
      const columns = [...Array(expectedColumns).keys()].filter(() => random(4) > 0)
      const lineEnd = ([undefined, 'lf', 'crlf', 'cr'] as const)[random(4)]
      const names = { a: 'a', b: 'b', x: 'a' }
      const options: ScanOptions = {
        delimiter: [';', ',', '\t', ';'][random(4)] ?? ';',
        quote: random(6) === 0 ? null : '"',
        expectedColumns,
        columns,
        ...(random(2) === 0 ? { unnamed: [0, expectedColumns - 1] } : {}),
        encoding: BYTE_ENCODINGS[random(BYTE_ENCODINGS.length)] ?? 'utf-8',
        startOffset: 0,
        startLine: 1,
        maxRecordBytes: random(3) === 0 ? 8 + random(40) : 1000,
        maxRawBytes: 4 + random(20),
        ...(lineEnd ? { lineEnd } : {}),
        ...(random(2) === 0
          ? {
              header: {
                cells: ['a', 'b', 'c', 'd'].slice(0, expectedColumns),
                names,
                line: 1,
                width: expectedColumns,
              },
            }
          : {}),
      }
      const scanned = scanAll(bytes, options, () => 1 + random(random(2) === 0 ? 3 : 200))
      const { records, skipped, content } = readNaively(bytes, options)
      const label = `seed ${seed}: ${JSON.stringify(bytes.toString('latin1'))}`
      const padding = bytes.length - content
      expect(scanned, label).toEqual({ records, skipped: skipped.length, padding })
      expect(leftOver(bytes, { records: scanned.records, skipped, content }), label).toBe('')
    }
  })
})
