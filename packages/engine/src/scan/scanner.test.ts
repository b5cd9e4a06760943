import { describe, expect, test } from 'vitest'
import { scanAll, scanText } from '../testing/scan.ts'
import type { ScanOptions } from './options.ts'

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

/** Returns the rejects as written, with the text of the original at their positions. */
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
  test('have their number, physical line, offset and length, with any line ends', () => {
    expect(scan('a;b;c\r\n1;2;3\r4;5;6\n7;8;9').records).toEqual([
      good(1, 2, 0, 5, 'a', 'b', 'c'),
      good(2, 3, 7, 5, '1', '2', '3'),
      good(3, 4, 13, 5, '4', '5', '6'),
      good(4, 5, 19, 5, '7', '8', '9'),
    ])
  })

  test('report which columns contain line breaks, without those of rejected records', () => {
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

  test('treat a quote inside text as text', () => {
    expect(scan(' a "b";5" pipe;it""s\n').records).toEqual([good(1, 2, 0, 20, ' a "b"', '5" pipe', 'it""s')])
  })

  test.each([
    [' "a" ;\t"b";"c"\t \n', ';'],
    ['"a" , "b","c" \n', ','],
    ['\u00a0"a",\u00a0 "b"\u00a0,"c"\n', ','],
    ['"a"\t "b" \t"c" \n', '\t'],
  ])('do not take blanks around quotes for part of the cell: %j', (text, delimiter) => {
    expect(scan(text, { delimiter }).records).toEqual([
      good(1, 2, 0, Buffer.byteLength(text) - 1, 'a', 'b', 'c'),
    ])
  })

  test('keep blanks inside quotes and around cells without quotes', () => {
    expect(scan('" a ";  b ;c \n').records).toEqual([good(1, 2, 0, 13, ' a ', '  b ', 'c ')])
  })

  test.each(['utf-8', 'windows-1252'] as const)('drop a byte order mark before a cell (%s)', (encoding) => {
    const { records } = scan('1;2;3\n\ufeff"a";b;c\n\ufeffd;\ufeff "e";f\n\ufeff\n', { encoding })
    expect(records.map(({ fields }) => fields)).toEqual([
      ['1', '2', '3'],
      ['a', 'b', 'c'],
      ['d', 'e', 'f'],
    ])
  })

  test('treat every quote as text when the file quotes nothing', () => {
    expect(scan('"a;b";"c\n', { quote: null }).records).toEqual([good(1, 2, 0, 8, '"a', 'b"', '"c')])
  })

  test('may have blank columns beyond the header', () => {
    expect(scan('1;2;3;;\n4;5;6;"";\n7;8;9; ;" "\n').records).toEqual([
      good(1, 2, 0, 7, '1', '2', '3'),
      good(2, 3, 8, 9, '4', '5', '6'),
      good(3, 4, 18, 11, '7', '8', '9'),
    ])
    expect(rejectsOf('1;2;3; ; x\n')).toMatchObject([{ code: 'too_many_columns' }])
  })

  test('contain only the wanted columns, in the order of the file', () => {
    const { canonical } = scanText(Buffer.from('a;b;c\n'), { ...BASE, columns: [2, 0] }, () => 100)
    expect(canonical.toString()).toBe('1\x1f2\x1f0\x1fa\x1fc\x1f5\n')
  })

  test('are decoded from windows-1252, the euro sign included', () => {
    const bytes = Buffer.from('Mu\xf1oz;\x80 5;\x93x\x94\n', 'latin1')
    expect(scan(bytes, { encoding: 'windows-1252' }).records).toEqual([
      good(1, 2, 0, 13, 'Muñoz', '€ 5', '“x”'),
    ])
  })

  test.each([
    '',
    '   \t',
    ';;',
    ' ; ;',
    ';',
    ';;;;;',
    '"";"" ;""',
    '" ";\t',
    '\ufeff;;',
    '"\n";;',
    '\u00a0;"\u00a0";',
  ])('of a line without any value there are none: %j is skipped and counted', (text) => {
    const { records, skipped } = scan(`1;2;3\n${text}\r\n${text}\n4;;\n${text}`)
    expect(records.map(({ fields }) => fields)).toEqual([
      ['1', '2', '3'],
      ['4', '', ''],
    ])
    expect(skipped).toBe(text === '' ? 2 : 3)
  })

  test('are those with a value in any column, wanted or not', () => {
    expect(scan(';;x\n;"""";\n', { columns: [0] }).records).toEqual([
      good(1, 2, 0, 3, ''),
      good(2, 3, 4, 6, ''),
    ])
  })
})

describe('padding at the end', () => {
  test.each([
    ['\x1a', 1],
    ['\n\x1a', 1],
    ['\r\n\x1a\r\n', 3],
    ['\0\0\0', 3],
    ['\n\0 \x1a\r\n\x1a', 6],
    [`\n${'\x1a'.repeat(126)}`, 126],
  ])('%j is no record and no part of one', (tail, padding) => {
    for (const size of [1, 2, 3, 1 << 20]) {
      const bytes = Buffer.from(`1;2;3\n4;5;6${tail}`)
      const scanned = scanAll(bytes, BASE, () => size)
      expect(scanned.records).toEqual([good(1, 2, 0, 5, '1', '2', '3'), good(2, 3, 6, 5, '4', '5', '6')])
      expect(scanned.padding).toBe(padding)
    }
  })

  test.each(['4;5;6', '4;5;6\n'])('may be longer than any buffer, after %j', (last) => {
    const bytes = Buffer.concat([Buffer.from(`1;2;3\n${last}`), Buffer.alloc(20_000_000)])
    const { counts } = scanText(bytes, BASE, () => 1 << 16)
    expect(counts).toMatchObject({ records: 2, good: 2, padding: 20_000_000 })
  })

  test('is text if text follows, however long it is', () => {
    const bytes = Buffer.concat([Buffer.from('1;2;3\n'), Buffer.alloc(5_000_000), Buffer.from('\n4;5;6\n')])
    const { counts, rejects } = scanText(bytes, BASE, () => 1 << 16)
    expect(counts).toMatchObject({ records: 3, good: 2, padding: 0, rejectCounts: { record_too_long: 1 } })
    expect(JSON.parse(rejects[0] ?? '')).toMatchObject({ offset: 6, length: 5_000_000 })
    expect(rejectsOf('1;2;3\n4;\0;6\n\x1a7;8;9\n')).toMatchObject([{ code: 'control_character' }])
  })

  test('that changes too often is text', () => {
    const bytes = Buffer.from(`1;2;3\n${'\0\n'.repeat(5_000)}`)
    for (const size of [7, 1 << 20])
      expect(scanText(bytes, BASE, () => size).counts).toMatchObject({ records: 5_001, padding: 0 })
  })
})

describe('a record that a line end breaks in two', () => {
  const broken = (text: string, options: Partial<ScanOptions> = {}) =>
    scan(text, { lineEnd: 'crlf', ...options }).records.map(({ fields, codes }) =>
      (fields ?? codes)?.join(' '),
    )

  test.each([
    ['1;2;3\r\na;b\nb;c\r\n4;5;6\r\n', 'a lone LF'],
    ['1;2;3\r\na;b\rb;c\r\n4;5;6\r\n', 'a lone CR'],
  ])('is reported at both halves: %j (%s)', (text) => {
    const half = 'missing_columns broken_line'
    expect(broken(text)).toEqual(['1 2 3', half, half, '4 5 6'])
  })

  test('in its last cell is reported at both halves, although the first one has all columns', () => {
    expect(broken('a;b;c\nmore\r\n4;5;6\r\n')).toEqual([
      'broken_line',
      'missing_columns broken_line',
      '4 5 6',
    ])
  })

  test('in a file with uniform line ends is detected by the number of columns', () => {
    const half = 'missing_columns broken_line'
    expect(broken('a;b\nb;c\n4;5;6\n4;5\n', { lineEnd: 'lf' })).toEqual([
      half,
      half,
      '4 5 6',
      'missing_columns',
    ])
  })

  test('into three pieces is reported at each', () => {
    const piece = 'missing_columns broken_line'
    expect(broken('a;b\nb\nb;c\r\n')).toEqual([piece, `${piece} broken_line`, piece])
  })

  test('is not suspected where whole records follow: files with other line ends were joined', () => {
    const text = `1;2;3\r\n${'4;5;6\n'.repeat(5)}7;8;9\r\n\r\na;b;c\n\n`
    expect(rejectsOf(text, { lineEnd: 'crlf' })).toEqual([])
    expect(broken(text)).toHaveLength(8)
  })
})

describe('a repeated header', () => {
  const header = {
    cells: ['Fecha', 'Máquina', 'Nota'],
    names: { fecha: 'dia', day: 'dia', maquina: 'm', nota: 'n' },
    ...{ line: 1, width: 3 },
  }
  const codes = (text: string) => rejectsOf(text, { header }).map(({ code, raw }) => [code, raw])

  test.each(['Fecha;Máquina;Nota', '\ufeff"FECHA" ; maquina;"nota";', 'Day;Maquina;Nota'])(
    'is a reject with its own reason: %j',
    (line) => {
      expect(codes(`1;2;3\n${line}\n4;5;6\n`)).toEqual([['repeated_header', line]])
    },
  )

  test.each([
    ['fecha;Maquina;nota', 'the line repeats the header in line 1'],
    ['Day;Maquina;Nota', 'the line names the same columns as the header in line 1'],
  ])('is reported as a repetition or as another order of the columns: %j', (line, message) => {
    expect(rejectsOf(`${line}\n`, { header })).toMatchObject([{ message }])
  })

  test.each(['Fecha;2;3', 'fecha;maquina;otra', 'Fecha;;', ';maquina;'])(
    'is not detected in a record: %j',
    (line) => {
      expect(codes(`1;2;3\n${line}\n`)).toEqual([])
    },
  )

  test('in another order is reported, because later records may use other columns', () => {
    const { counts } = scanText(
      Buffer.from('1;2;3\nNota;Fecha;Maquina\n4;5;6\n'),
      { ...BASE, header },
      () => 5,
    )
    expect(counts).toMatchObject({ otherHeader: { line: 3, cells: ['Nota', 'Fecha', 'Maquina'] } })
    expect(
      scanText(Buffer.from('Fecha;Máquina;Nota\n'), { ...BASE, header }, () => 5).counts.otherHeader,
    ).toBeNull()
  })
})

describe('blank cells beyond the header', () => {
  const header = { cells: ['a', 'b', 'c'], names: {}, line: 1, width: 3 }
  const extra = (text: string, options: Partial<ScanOptions> = {}) =>
    [3, 1 << 20].map((size) => {
      const all = { ...BASE, delimiter: ',', header, ...options }
      return scanText(Buffer.from(text), all, () => size).counts.extraCells
    })
  const twice = (found: unknown) => [found, found]

  test('are counted with the columns whose cells may be halves of numbers with a decimal comma', () => {
    const found = { records: 3, halves: [{ index: 1, records: 2 }], line: 2, width: 4, text: 'a,1,50,' }
    expect(extra('a,1,50,\n"b" ,2,75, \nc,,,,\nx,y,z\n')).toEqual(twice(found))
  })

  test.each([
    ['a,1.5,50,\nb,2,75,\n', []],
    ['a,1,5000,\n', []],
    ['a,b,1,\n', []],
    ['1,2,3,\n', [0, 1]],
  ])('are no halves beside decimal points, long numbers and texts: %j', (text, halves) => {
    expect(extra(text).map((found) => found?.halves.map(({ index }) => index))).toEqual(twice(halves))
  })

  test('do not count where the header has as many, no comma delimits, or the record is rejected', () => {
    expect(extra('a,1,50,\n', { header: { ...header, width: 4 } })).toEqual(twice(null))
    expect(extra('a;1;50;\n', { delimiter: ';' })).toEqual(twice(null))
    expect(extra('a,1\0,50,\na,1,50\n')).toEqual(twice(null))
  })
})

describe('columns without a name', () => {
  const unnamed = (text: string, columns = [1], options: Partial<ScanOptions> = {}) => {
    const all = {
      ...BASE,
      columns: [0, 1, 2].filter((at) => !columns.includes(at)),
      unnamed: columns,
      ...options,
    }
    const [small, large] = [2, 1 << 20].map((size) => {
      // The number of bytes followed depends on where the chunks end.
      const { bytesFollowed: _, ...counts } = scanText(Buffer.from(text), all, () => size).counts
      return counts
    })
    expect(small).toEqual(large)
    return large?.unnamedColumns
  }

  test('are reported if valid records have values in them', () => {
    const text = 'a;;c\nb; \u00a0;c\nd;"x\ny";e\nf;2\ng;"";h\nh; z;i;;\nj;3;4\n'
    expect(unnamed(text)).toEqual([{ index: 1, records: 3, line: 4, text: 'x\ny' }])
    expect(unnamed('a;;c\nb;"";c\nx;" ";y\n;;\n')).toEqual([])
  })

  test.each([
    ['0;a;b\n1;c;d\n2;e;f\n', 0],
    ['1;a;b\n"2";c;d\n3 ;e;f\n', 0],
    ['3;a;b\n8;c;d\n90;e;f\n0;g;h\n1;i;j\n', 0],
    ['0;a;b\n1;c;d\n7;e\n5;g;h\n', 0],
    ['0;a;b\nx;c;d\n', 1],
    ['5;a;b\n5;c;d\n', 1],
    ['9;a;b\n3;c;d\n', 1],
  ])('are none when the first one numbers the records: %j', (text, columns) => {
    expect(unnamed(text, [0])).toHaveLength(columns)
  })

  test('decode their values in the encoding of the file', () => {
    const text = Buffer.from('a;\xf1;c\n', 'latin1')
    const options = { ...BASE, columns: [0], unnamed: [1], encoding: 'windows-1252' } as const
    expect(scanText(text, options, () => 4).counts.unnamedColumns).toMatchObject([{ text: 'ñ' }])
  })
})

describe('a structural reject', () => {
  test('of too few or too many columns states how many were found', () => {
    expect(rejectsOf('1;2\n1;2;3\n1;2;3;4\n')).toEqual([
      {
        record: 1,
        line: 2,
        code: 'missing_columns',
        message: '2 cells, expected 3',
        value: null,
        raw: '1;2',
        rawTruncated: false,
        cut: '1;2',
      },
      {
        record: 3,
        line: 4,
        code: 'too_many_columns',
        message: '4 cells, expected 3',
        value: null,
        raw: '1;2;3;4',
        rawTruncated: false,
        cut: '1;2;3;4',
      },
    ])
  })

  test.each([
    ['a,1,50,x', '4 cells, expected 3; if "1,50" is one number, export the file with ";" between cells'],
    [
      'a,"-1.234", 5 ,x',
      '4 cells, expected 3; if "-1.234,5" is one number, export the file with ";" between cells',
    ],
    ['a,1,x,y', '4 cells, expected 3'],
    ['a,1.5,50,y', '4 cells, expected 3'],
    ['a,1,50,x,y', '5 cells, expected 3'],
    ['a', '1 cell, expected 3'],
  ])('of %j has the message %j', (line, message) => {
    expect(rejectsOf(`${line}\n`, { delimiter: ',' })).toMatchObject([{ message }])
    expect(rejectsOf(`${line.replaceAll(',', ';')}\n`)).toMatchObject([{ message: message.split(';')[0] }])
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

  test('of text after a closing quote is the whole record', () => {
    const text = '1;"a"x;3\n4;"b\n5;6;7\nc"x;"8\n9"\n4;5;6\n'
    expect(rejectsOf(text)).toMatchObject([
      { record: 1, line: 2, code: 'text_after_quote', raw: '1;"a"x;3', value: 'x;3' },
      { record: 2, line: 3, code: 'text_after_quote', raw: '4;"b\n5;6;7\nc"x;"8\n9"', value: 'x;"8' },
    ])
    expect(scan(text).records.slice(2)).toEqual([good(3, 7, 30, 5, '4', '5', '6')])
  })

  test.each(['8;"c";9', '8; "c";9', '"c";8;9'])(
    'of a quote that is not closed before %j costs its first line only',
    (next) => {
      const text = `4;"b\n5;6;7\n${next}\n`
      expect(rejectsOf(text)).toMatchObject([{ record: 1, line: 2, code: 'unterminated_quote', raw: '4;"b' }])
      expect(scan(text).records.slice(1)).toMatchObject([
        { fields: ['5', '6', '7'] },
        { length: next.length },
      ])
    },
  )

  test.each([
    ['1;"nota\nlinea;dos;legal\nfin";sobra;mas\n', 'too_many_columns'],
    ['1;"nota\nlinea;dos;legal\nfin"\n', 'missing_columns'],
    ['1;"nota\n""linea"";dos;legal\n"; sobra ; "mas"\n', 'too_many_columns'],
  ])('with lines in quotes is one reject with all of them: %j', (text, code) => {
    expect(rejectsOf(`${text}4;5;6\n`)).toMatchObject([
      { record: 1, code, cut: text.slice(0, -1), raw: text.slice(0, -1) },
    ])
    expect(scan(`${text}4;5;6\n`).records[1]).toMatchObject({ line: 5, fields: ['4', '5', '6'] })
  })

  test.each([
    ['utf-8', Buffer.from('dijo "no" y salió')],
    ['windows-1252', Buffer.from('dijo "no" y salió', 'latin1')],
  ] as const)('show what follows a quote decoded as %s, as the whole text is', (encoding, after) => {
    const [reject] = rejectsOf(Buffer.concat([Buffer.from('1;"'), after, Buffer.from('";3\n')]), { encoding })
    expect(reject).toMatchObject({ value: 'no" y salió";3', raw: '1;"dijo "no" y salió";3' })
    const long = Buffer.concat([
      Buffer.from('1;"a"'),
      Buffer.from('ñ'.repeat(30), encoding === 'utf-8' ? 'utf8' : 'latin1'),
    ])
    expect(rejectsOf(long, { encoding })[0]?.value).toBe('ñ'.repeat(encoding === 'utf-8' ? 20 : 30))
  })

  test('states that the whole line is in quotes', () => {
    expect(rejectsOf('"1;2;3"\n4\n')).toMatchObject([
      { message: '1 cell, expected 3: the whole line is in quotes' },
      { message: '1 cell, expected 3' },
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

test.each([1_000, 15_000])(
  '%d lines that leave a reading in quotes do not cause repeated reading',
  (lines) => {
    const bytes = Buffer.from(`${'a'.repeat(90)}";"\n`.repeat(lines))
    const { counts } = scanText(bytes, { ...BASE, expectedColumns: 5, columns: [0] }, () => 1 << 20)
    expect(counts.records).toBe(lines)
    // Without the stored last reading, each line would be followed to the end of the file, or for 1 MiB.
    expect(counts.bytesFollowed).toBeLessThan(5 * bytes.length)
  },
)
