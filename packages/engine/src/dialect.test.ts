import { describe, expect, test } from 'vitest'
import { type DialectHints, detectDialect } from './dialect.ts'
import { normaliseName } from './header-name.ts'

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
      header: { cells: NAMES, line: 1, matched: 4, width: 4 },
      dataOffset: header.length + 1,
      dataLine: 2,
      lineEnd: 'lf',
      preamble: [],
      linesBefore: 0,
      lineEnds,
    })
  })

  test('after titles, blank lines and a BOM, with accents, quotes and empty cells at the end', () => {
    const text =
      '\ufeffReporte de "producción", marzo\r\n\r\n"Fecha Contabilización","Máquina\ncódigo",Turno,,\r\n1,2,3\r\n'
    const dialect = detect(text)
    expect(dialect.delimiter).toBe(',')
    expect(dialect.header).toEqual({
      cells: ['Fecha Contabilización', 'Máquina\ncódigo', 'Turno'],
      line: 3,
      matched: 3,
      width: 5,
    })
    expect(dialect).toMatchObject({ linesBefore: 2, dataLine: 5, lineEnd: 'crlf', lineEnds: 'mixed' })
    expect(dialect.preamble).toEqual([{ line: 1, text: 'Reporte de "producción", marzo', kind: 'title' }])
    expect(Buffer.from(text).subarray(dialect.dataOffset).toString()).toBe('1,2,3\r\n')
  })

  test('one known column among delimiters of the text: the rows decide', () => {
    expect(detect('turno;nota libre, larga\n1;a, b, c\n2;d\n', { knownNames: ['turno'] }).delimiter).toBe(';')
    expect(detect('turno\n1,5\n2,25\n3\n', { knownNames: ['turno'] }).header.cells).toEqual(['turno'])
  })

  test('equal under all delimiters: the first of semicolon, comma, tab and bar', () => {
    expect(detect('turno;otra,maquina_codigo\n').delimiter).toBe(';')
    expect(detect('turno|otra,maquina_codigo\n').delimiter).toBe(',')
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

  test('no known name: reports a header under another delimiter or too far down', () => {
    const elsewhere = (text: string, hints: Partial<DialectHints> = {}) =>
      detectDialect(Buffer.from(text), 'utf-8', true, { knownNames: NAMES, ...hints })
    expect(elsewhere('x\nturno\tobservacion\n1\t2\n', { delimiter: ';' })).toMatchObject({
      elsewhere: { delimiter: '\t', line: 2, cells: ['turno', 'observacion'] },
    })
    const titles = 'title of several words\n'.repeat(30)
    expect(elsewhere(`${titles}turno;observacion\n1;2\n`)).toMatchObject({ elsewhere: { line: 31 } })
    expect(elsewhere(`${titles}turno\n1\n`)).toMatchObject({ elsewhere: { line: 31 } })
    expect(elsewhere(`uno;dos\n${'a;b\n'.repeat(20)}a;turno\n`)).toMatchObject({ elsewhere: null })
  })

  test.each(['"turno;maquina_codigo"\n"1;2"\n', 'Marzo\n"turno,""maquina_codigo"",x"\n'])(
    'a whole line in quotes is shown with its content: %j',
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
  ])('the delimiter of one column is the one at its end, if every line has it: %j', (text, delimiter) => {
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
    if (result.why === 'no_header') return 'none'
    if (result.why === 'records_first') return { records: result.lines.map(({ line }) => line) }
    return result.rows.map(({ line }) => line)
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
    ['codigo;tipo\nA1;x\nA2;y\ncodigo;tipo;nota\nA3;x;1\n', [1, 4]],
    ['Informe\n\n"Tipo";codigo;\nx;A1;\n\ncodigo;tipo;nota\nA3;x;1\n', [3, 6]],
    ['codigo;tipo;color\nAna;x;rojo\ncodigo;tipo;nota;unidad\nEva;x;1;\n', [1, 3]],
    ['codigo\nP7\nP8\ncodigo;tipo\nP9;x\n', [1, 4]],
    ['codigo,tipo\nP7,x\ncodigo;tipo;nota\nP9;x;1\n', [1, 3]],
    [`codigo;tipo\n${'A1;x\n'.repeat(18)}codigo;tipo;nota\nA3;x;1\n`, [1, 20]],
  ])('and a row that names more, or as many, are both shown: %j', (text, rows) => {
    expect(lines(text)).toEqual(rows)
  })

  test.each([
    ['P1;Uno\nP2;Dos\ncodigo;tipo;nota\nP3;Tres;08001\n', [1, 2]],
    ['Informe\n\nP1;Uno;5\ncodigo;tipo;nota\nP3;Tres;08001\n', [3]],
    ['2024-05-01;norte;5;x\ncodigo;tipo;nota;unidad\n2024-05-02;sur;6;\n', [1]],
    ['Uno;5\ntipo;nota\nTres;8\n', [1]],
    ['Uno dos;5;x\ntipo;nota;unidad;codigo\nTres;8;kg;A\n', [1]],
    ['15;12\ncodigo;nota\n16;8\n', [1]],
  ])('fails the file if lines before it look like records: %j', (text, records) => {
    expect(lines(text)).toEqual({ records })
  })

  test.each([
    ['Cuenta;ES12 3456 7890\nTitular;Ana Ruiz\nSaldo;1.234,56\nDesde;01/05/2024\n\n', []],
    ['01/05/2024;31/05/2024\n', []],
    ['Kontoauszug;;;\nIBAN: DE12 3456;;;\nZeitraum: 01.03.2024 - 31.03.2024;;;\n;;;\n', []],
    ['# exported 2024\n# rows: 2\n', []],
    ['Exportado el;31/05/2024 10:30\nUsuario;15\n', []],
    ['Fecha\nInforme de mayo\n', []],
    ['nota;5\n', []],
  ])('below the titles of a bank or a machine is found: %j', (before, maybe) => {
    const bank = { knownNames: ['fecha', 'valor', 'concepto', 'importe', 'saldo'] }
    const records = '01/05/2024;02/05/2024;Compra;-10,00;1.000,50\n03/05/2024;03/05/2024;Pago 12;5;1.005,50\n'
    const dialect = detect(`${before}Fecha;Valor;Concepto;Importe;Saldo\n${records}`, bank)
    expect(dialect.preamble.flatMap(({ line, kind }) => (kind === 'title' ? [] : [line]))).toEqual(maybe)
  })

  test.each([
    ['Ana;5\nEva;6\n', [1, 2]],
    ['tipo;color\nAna;rojo\n', [1]],
    ['Nota;alta\nResponsable;Ana\n', []],
    ['Sucursal;5\n', []],
    ['Sucursal;5\nResponsable;Ana\n', []],
  ])('is found below %j, with a warning about labels that look like records', (before, maybe) => {
    const dialect = detect(`${before}tipo;nota;unidad\nLeo;7;kg\n`, names)
    expect(dialect.preamble.flatMap(({ line, kind }) => (kind === 'title' ? [] : [line]))).toEqual(maybe)
  })

  test.each([
    ['Informe de mayo\n\n2024-05-31\n', []],
    ['Empresa;ACME\nFecha;2024-05-31\nTipo;1\n', []],
    ['Codigo\n', []],
    ['Codigo;;Nota;;\n', [1]],
    ['1;2;3;4\n', [1]],
    ['Code;Type;Note;Unit\n', [1]],
  ])('skips titles before it, with a warning about %j', (before, suspicious) => {
    const dialect = detect(`${before}codigo;tipo;nota;unidad\n1;2;3;4\n`, names)
    expect(dialect.header.cells).toHaveLength(4)
    expect(dialect.preamble.map(({ text }) => text)).toEqual(before.split('\n').filter((line) => line !== ''))
    expect(dialect.preamble.flatMap(({ line, kind }) => (kind === 'maybe' ? [line] : []))).toEqual(suspicious)
  })

  test('of one column: a title of several words is one, a single word may be a record', () => {
    const kinds = (text: string) => detect(text, names).preamble.map(({ kind }) => kind)
    expect(kinds('Lista de mayo\n\ncodigo\nA1\n')).toEqual(['title'])
    expect(kinds('sep=,\ncodigo\nA1\n')).toEqual(['title'])
    expect(kinds('Lista\ncodigo\nA1\n')).toEqual(['maybe'])
    expect(lines('A0\ncodigo\nA1\n')).toEqual({ records: [1] })
  })
})
