import { describe, expect, test } from 'vitest'
import { BYTE_ENCODINGS } from '../text.ts'
import { type NaiveRecord, readNaively } from './naive.testing.ts'
import type { ScanOptions } from './options.ts'
import { randomSource, scanAll } from './scan.testing.ts'

const SOUP = [...Buffer.from('ab;;""\n\n\r ,\t'), 0x00, 0x1e, 0xc3, 0xa9, 0xf1, 0xe2, 0x82, 0xac]
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

function expected(bytes: Buffer, options: ScanOptions): { records: NaiveRecord[]; skipped: number } {
  return readNaively(bytes, options)
}

describe('any bytes at all', () => {
  test('the scanner sees what a naive reader sees, whatever the chunk sizes', () => {
    for (let seed = 1; seed <= 8_000; seed++) {
      const random = randomSource(seed)
      const bytes = soup(random)
      const expectedColumns = 1 + random(4)
      const columns = [...Array(expectedColumns).keys()].filter(() => random(4) > 0)
      const options: ScanOptions = {
        delimiter: [';', ',', '\t', ';'][random(4)] ?? ';',
        quote: random(6) === 0 ? null : '"',
        expectedColumns,
        columns,
        encoding: BYTE_ENCODINGS[random(BYTE_ENCODINGS.length)] ?? 'utf-8',
        startOffset: 0,
        startLine: 1,
        maxRecordBytes: random(3) === 0 ? 8 + random(40) : 1000,
        maxRawBytes: 4 + random(20),
      }
      const scanned = scanAll(bytes, options, () => 1 + random(random(2) === 0 ? 3 : 200))
      expect({ seed, ...scanned }, `seed ${seed}: ${JSON.stringify(bytes.toString('latin1'))}`).toEqual({
        seed,
        ...expected(bytes, options),
      })
    }
  })
})
