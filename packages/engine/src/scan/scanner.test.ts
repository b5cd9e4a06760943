import { describe, expect, test } from 'vitest'
import type { ScanOptions } from './options.ts'
import { scanAll, scanText } from './scan.testing.ts'

const BASE: ScanOptions = {
  delimiter: ';',
  quote: '"',
  expectedColumns: 3,
  columns: [0, 1, 2],
  encoding: 'utf-8',
  startOffset: 0,
  startLine: 2,
}

const bytesOf = (text: string | Buffer) => (typeof text === 'string' ? Buffer.from(text) : text)

function scan(text: string | Buffer, options: Partial<ScanOptions> = {}) {
  return scanAll(bytesOf(text), { ...BASE, ...options }, () => 1 << 20)
}

/** The rejects as they are written, with the piece of the original that their place points at. */
function rejectsOf(text: string | Buffer, options: Partial<ScanOptions> = {}) {
  const bytes = bytesOf(text)
  return scanText(bytes, { ...BASE, ...options }, () => 7).rejects.map((line) => {
    const { record, line: at, offset, length, reasons, raw, rawTruncated } = JSON.parse(line)
    const [{ code, message, value }] = reasons
    return {
      record,
      line: at,
      code,
      message,
      value,
      raw,
      rawTruncated,
      cut: bytes.subarray(offset, offset + length).toString(),
    }
  })
}

const good = (record: number, line: number, offset: number, length: number, ...fields: string[]) => ({
  record,
  line,
  offset,
  length,
  fields,
})

describe('well-formed records', () => {
  test('have their number, physical line, offset and length, whatever the line ends', () => {
    expect(scan('a;b;c\r\n1;2;3\r4;5;6\n7;8;9').records).toEqual([
      good(1, 2, 0, 5, 'a', 'b', 'c'),
      good(2, 3, 7, 5, '1', '2', '3'),
      good(3, 4, 13, 5, '4', '5', '6'),
      good(4, 5, 19, 5, '7', '8', '9'),
    ])
  })

  test('tell which columns hold line breaks, leaving out those of rejected records', () => {
    const broken = (text: string) => scanText(Buffer.from(text), BASE, () => 7).counts.brokenColumns
    expect(broken('a;b;c\n"1";"2";"3"\n')).toEqual(new Set())
    expect(broken('a;"b\nb";c\n1;"2\r\n\r\n2";"\n"\n"4\x1f\r5";5;6\n')).toEqual(new Set([1, 2]))
    expect(broken('"\r";b;c\n')).toEqual(new Set([0]))
  })

  test('keep delimiters, doubled quotes and line breaks inside quotes, and count the lines', () => {
    const { records } = scan('"a;b";"say ""x""";"1\r\n2\n3\r4"\nx;y;z\n')
    expect(records).toEqual([
      good(1, 2, 0, 28, 'a;b', 'say "x"', '1\r\n2\n3\r4'),
      good(2, 6, 29, 5, 'x', 'y', 'z'),
    ])
  })

  test('take a quote after a space, or inside text, for text', () => {
    expect(scan(' "a";5" pipe;it""s\n').records).toEqual([good(1, 2, 0, 18, ' "a"', '5" pipe', 'it""s')])
  })

  test('take every quote for text when the file quotes nothing', () => {
    expect(scan('"a;b";"c\n', { quote: null }).records).toEqual([good(1, 2, 0, 8, '"a', 'b"', '"c')])
  })

  test('may have empty columns beyond the header', () => {
    expect(scan('1;2;3;;\n4;5;6;"";\n').records).toEqual([
      good(1, 2, 0, 7, '1', '2', '3'),
      good(2, 3, 8, 9, '4', '5', '6'),
    ])
  })

  test('give only the wanted columns, in the order of the file', () => {
    const { canonical } = scanText(Buffer.from('a;b;c\n'), { ...BASE, columns: [2, 0] }, () => 100)
    expect(canonical.toString()).toBe('1\x1f2\x1f0\x1fa\x1fc\x1f5\n')
  })

  test('are decoded from windows-1252, the euro sign included', () => {
    const bytes = Buffer.from('Mu\xf1oz;\x80 5;\x93x\x94\n', 'latin1')
    expect(scan(bytes, { encoding: 'windows-1252' }).records).toEqual([
      good(1, 2, 0, 13, 'Muñoz', '€ 5', '“x”'),
    ])
  })

  test('of blank lines there are none: these are skipped and counted, lines of delimiters are records', () => {
    const { records, skipped } = scan('\n1;2;3\n   \t\r\n\r;;\n')
    expect(skipped).toBe(3)
    expect(records).toEqual([good(1, 3, 1, 5, '1', '2', '3'), good(2, 6, 14, 2, '', '', '')])
  })
})

describe('a structural reject', () => {
  test('of too few or too many columns says how many were found', () => {
    expect(rejectsOf('1;2\n1;2;3\n1;2;3;4\n')).toEqual([
      {
        record: 1,
        line: 2,
        code: 'missing_columns',
        message: '2 columns, expected 3',
        value: null,
        raw: '1;2',
        rawTruncated: false,
        cut: '1;2',
      },
      {
        record: 3,
        line: 4,
        code: 'too_many_columns',
        message: '4 columns, expected 3',
        value: null,
        raw: '1;2;3;4',
        rawTruncated: false,
        cut: '1;2;3;4',
      },
    ])
  })

  test('of an unclosed quote costs its first line only', () => {
    const text = '1;"open;3\n4;5;6\n7;8;9\n'
    expect(rejectsOf(text)).toMatchObject([
      { record: 1, line: 2, code: 'unterminated_quote', raw: '1;"open;3' },
    ])
    expect(scan(text).records.slice(1)).toEqual([
      good(2, 3, 10, 5, '4', '5', '6'),
      good(3, 4, 16, 5, '7', '8', '9'),
    ])
  })

  test('of text after a closing quote costs its first line only, also when the quote closes lines later', () => {
    const text = '1;"a"x;3\n4;"b\n5;6;7\n8;"c";9\n'
    expect(rejectsOf(text)).toMatchObject([
      { record: 1, line: 2, code: 'text_after_quote', raw: '1;"a"x;3', value: 'x;3' },
      { record: 2, line: 3, code: 'text_after_quote', raw: '4;"b' },
    ])
    expect(scan(text).records.slice(2)).toEqual([
      good(3, 4, 14, 5, '5', '6', '7'),
      good(4, 5, 20, 7, '8', 'c', '9'),
    ])
  })

  test('of a stray quote that meets another one lines later does not swallow the good lines between', () => {
    const text = '1;"5;2\n3;4;5\n6;7;5"\n8;9;10\n'
    expect(rejectsOf(text)).toMatchObject([{ record: 1, line: 2, code: 'unterminated_quote', raw: '1;"5;2' }])
    expect(scan(text).records.slice(1)).toEqual([
      good(2, 3, 7, 5, '3', '4', '5'),
      good(3, 4, 13, 6, '6', '7', '5"'),
      good(4, 5, 20, 6, '8', '9', '10'),
    ])
  })

  test('over several lines is one record when its quotes are right', () => {
    const text = '1;"two\nlines"\n4;5;6\n'
    expect(rejectsOf(text)).toMatchObject([
      { record: 1, line: 2, code: 'missing_columns', raw: '1;"two\nlines"' },
    ])
    expect(scan(text).records[1]).toEqual(good(2, 4, 14, 5, '4', '5', '6'))
  })

  test('of a control character or invalid UTF-8 has all its reasons and no other record suffers', () => {
    const text = Buffer.from('1;\x00;3\n4;\xf1;\x1e;7\nok;\xc3\xa9;1\n', 'latin1')
    const { records } = scan(text)
    expect(records).toEqual([
      { record: 1, line: 2, offset: 0, length: 5, codes: ['control_character'] },
      {
        record: 2,
        line: 3,
        offset: 6,
        length: 7,
        codes: ['too_many_columns', 'control_character', 'invalid_utf8'],
      },
      good(3, 4, 14, 7, 'ok', 'é', '1'),
    ])
    expect(rejectsOf(text)).toMatchObject([{ value: 'U+0000', raw: '1;\0;3' }, { raw: '4;\ufffd;\x1e;7' }])
  })

  test('of a record longer than the limit keeps the beginning of its text and its whole length', () => {
    const long = 'x'.repeat(5_000_000)
    const bytes = Buffer.from(`1;2;3\n${long};b;c\n4;5;6\n`)
    const scanned = scanText(bytes, BASE, () => 1 << 20)
    expect(scanned.counts).toMatchObject({
      records: 3,
      good: 2,
      structural: 1,
      rejectCounts: { record_too_long: 1 },
    })
    const reject = JSON.parse(scanned.rejects[0] ?? '')
    expect(reject).toMatchObject({ record: 2, line: 3, offset: 6, length: 5_000_004, rawTruncated: true })
    expect(reject.raw).toBe('x'.repeat(8192))
  })

  test('of one stray quote before a hundred thousand lines costs one line', () => {
    const bytes = Buffer.from(`1;"open;3\n${'12;345;6789\n'.repeat(300_000)}`)
    const { counts } = scanText(bytes, BASE, () => 1 << 20)
    expect(counts).toMatchObject({ records: 300_001, good: 300_000, rejectCounts: { unterminated_quote: 1 } })
  })
})

test('lines that keep a reading in quotes for ever do not make it read everything again and again', () => {
  const line = `${'a'.repeat(90)}";"\n`
  const bytes = Buffer.from(line.repeat(60_000))
  const started = performance.now()
  const { counts } = scanText(bytes, { ...BASE, expectedColumns: 5, columns: [0] }, () => 1 << 20)
  expect(counts.records).toBe(60_000)
  expect(performance.now() - started).toBeLessThan(5_000)
})
