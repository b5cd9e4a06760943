import { describe, expect, test } from 'vitest'
import { type DialectHints, detectDialect, normaliseName } from './dialect.ts'

const NAMES = ['fecha_contabilizacion', 'maquina_codigo', 'turno', 'observacion']

function detect(text: string | Buffer, hints: Partial<DialectHints> = {}) {
  const result = detectDialect(Buffer.from(text), 'utf-8', true, { knownNames: NAMES, ...hints })
  if (!result.found) throw new Error('no dialect')
  return result.dialect
}

describe('names', () => {
  test.each([
    ['Fecha Contabilización', 'fecha_contabilizacion'],
    ['\u200Bfe\u00ADcha\u2060\u00A0\uFEFFCo\u200Dntabilizacio\u0301n\u200E', 'fecha_contabilizacion'],
    [' MAQUINA-CODIGO\u00a0', 'maquina_codigo'],
    ['\ufeffN.º  Orden', 'n_º_orden'],
    [' PESO NETO (kg) ', 'peso_neto_kg'],
    ['Año', 'ano'],
    ['***', ''],
  ])('%j is compared as %j', (name, normal) => {
    expect(normaliseName(name)).toBe(normal)
  })
})

describe('the header decides', () => {
  test.each([
    [';', 'lf'],
    [',', 'lf'],
    ['\t', 'lf'],
    ['|', 'lf'],
  ])('delimiter %j', (delimiter, lineEnds) => {
    const header = NAMES.join(delimiter)
    const dialect = detect(`${header}\n1${delimiter}2${delimiter}3${delimiter}4,5;6\n`)
    expect(dialect).toEqual({
      delimiter,
      quote: '"',
      header: { cells: NAMES, line: 1, matched: 4 },
      dataOffset: header.length + 1,
      dataLine: 2,
      lineEnd: 'lf',
      preamble: [],
      linesBefore: 0,
      lineEnds,
    })
  })

  test('below titles, blank lines and a BOM, with accents, quotes and empty cells at the end', () => {
    const text =
      '\ufeffReporte de "producción", marzo\r\n\r\n"Fecha Contabilización","Máquina\ncódigo",Turno,,\r\n1,2,3\r\n'
    const dialect = detect(text)
    expect(dialect.delimiter).toBe(',')
    expect(dialect.header).toEqual({
      cells: ['Fecha Contabilización', 'Máquina\ncódigo', 'Turno'],
      line: 3,
      matched: 3,
    })
    expect(dialect).toMatchObject({ linesBefore: 2, dataLine: 5, lineEnd: 'crlf', lineEnds: 'mixed' })
    expect(dialect.preamble).toEqual([{ line: 1, text: 'Reporte de "producción", marzo', suspicious: false }])
    expect(Buffer.from(text).subarray(dialect.dataOffset).toString()).toBe('1,2,3\r\n')
  })

  test('one known column among delimiters of the text: the rows decide', () => {
    expect(detect('turno;nota libre, larga\n1;a, b, c\n2;d\n', { knownNames: ['turno'] }).delimiter).toBe(';')
    expect(detect('turno\n1,5\n2,25\n3\n', { knownNames: ['turno'] }).header.cells).toEqual(['turno'])
  })

  test('a declared delimiter and quote are not questioned', () => {
    const dialect = detect("turno^'maquina_codigo'\n1^2\n", { delimiter: '^', quote: "'" })
    expect(dialect.header.cells).toEqual(['turno', 'maquina_codigo'])
  })

  test('no known name: the likeliest header under each delimiter is shown', () => {
    const result = detectDialect(Buffer.from('uno;dos;tres\n1;2;3\n'), 'utf-8', true, { knownNames: NAMES })
    expect(result).toMatchObject({
      ...{ found: false, why: 'no_header', quotedLine: null },
      candidates: [{ delimiter: ';', line: 1, cells: ['uno', 'dos', 'tres'] }, {}, {}, {}],
    })
  })

  test.each(['"turno;maquina_codigo"\n"1;2"\n', 'Marzo\n"turno,""maquina_codigo"",x"\n'])(
    'a whole line in quotes is shown with what it holds: %j',
    (text) => {
      const result = detectDialect(Buffer.from(text), 'utf-8', true, { knownNames: NAMES })
      expect(result).toMatchObject({ found: false, quotedLine: { cells: expect.arrayContaining(['turno']) } })
    },
  )

  test.each([
    ['turno,\n1,\n2,\n', ','],
    ['turno\n1,\n2,\n', ','],
    ['turno;\n1\n2\n', ';'],
    [',turno\n,1\n', ','],
    ['turno\t\n1\t\n', '\t'],
    ['turno\n1,5\n2,\n', ';'],
    ['turno\nuno,\ndos\n', ';'],
  ])('the delimiter of one column is the one at its end, if it stands everywhere: %j', (text, delimiter) => {
    expect(detect(text).delimiter).toBe(delimiter)
  })

  test('padding at the end does not matter', () => {
    expect(detect('turno;observacion\n1;2\n\x1a\0\0\0').header.cells).toEqual(['turno', 'observacion'])
  })
})

describe('the first row that names columns', () => {
  const names = { knownNames: ['codigo', 'tipo', 'descripcion', 'unidad', 'nota'] }
  const lines = (text: string) => {
    const result = detectDialect(Buffer.from(text), 'utf-8', true, names)
    if (result.found) return result.dialect.header.line
    return result.why === 'ambiguous' ? result.rows.map(({ line }) => line) : 'none'
  }

  test.each([
    ['names the most', 'codigo;tipo;nota\n1;tipo;codigo\n'],
    ['names as many as a record does', 'Campo;Tipo;Nota;Longitud\nid;texto;clave;10\ncodigo;tipo;x;8\n'],
    ['is repeated', 'codigo;tipo\n1;2\nTipo;Codigo\n'],
    ['is the only one', 'x;codigo;y\n1;2;3\n'],
    ['has numbers in its names', 'codigo;2023;2024\n1;2;3\n'],
  ])('is the header when it %s', (_, text) => {
    expect(lines(text)).toBe(1)
  })

  test.each([
    [
      'Campo;Tipo;Nota;Longitud\nid;texto;clave;10\ncampo3;Codigo;Descripcion;Unidad\nkg;numero;peso;8\n',
      [1, 3],
    ],
    ['tipo;a;b;c\n\ncodigo;tipo;nota\n1;2;3\n', [1, 3]],
    ['Mes;Zona;Peso\n5;norte;8\ncodigo;tipo;nota\n1;2;3\n', [1, 3]],
    ['tipo;1\ncodigo;zona\nA;B\n', [1, 2]],
  ])('and a row that names more, or as many, are both shown: %j', (text, rows) => {
    expect(lines(text)).toEqual(rows)
  })

  test.each([
    ['Informe de mayo\n\n2024-05-31\n', []],
    ['Empresa;ACME\nFecha;2024-05-31\nTipo;1\n', []],
    ['Codigo\n', []],
    ['Codigo;;Nota;;\n', [1]],
    ['1;2;3;4\n', [1]],
    ['Code;Type;Note;Unit\n', [1]],
  ])('skips titles before it, and suspects %j of being more', (before, suspicious) => {
    const dialect = detect(`${before}codigo;tipo;nota;unidad\n1;2;3;4\n`, names)
    expect(dialect.header.cells).toHaveLength(4)
    expect(dialect.preamble.map(({ text }) => text)).toEqual(before.split('\n').filter((line) => line !== ''))
    expect(dialect.preamble.flatMap(({ line, suspicious: is }) => (is ? [line] : []))).toEqual(suspicious)
  })

  test('of one column: a title of several words is one, a single word may be a record', () => {
    const suspects = (text: string) => detect(text, names).preamble.map(({ suspicious }) => suspicious)
    expect(suspects('Lista de mayo\n\ncodigo\nA1\n')).toEqual([false])
    expect(suspects('sep=,\ncodigo\nA1\n')).toEqual([false])
    expect(suspects('A0\ncodigo\nA1\n')).toEqual([true])
  })
})
