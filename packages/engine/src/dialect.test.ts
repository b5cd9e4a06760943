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
      preamble: 0,
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
    expect(dialect).toMatchObject({ preamble: 2, dataLine: 5, lineEnds: 'mixed' })
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
    expect(result).toMatchObject({ found: false })
    expect(result.found ? [] : result.candidates[0]).toEqual({
      delimiter: ';',
      line: 1,
      cells: ['uno', 'dos', 'tres'],
    })
  })
})
