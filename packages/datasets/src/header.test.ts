import { describe, expect, test } from 'vitest'
import { closestName, knownHeaders, mapHeader, misspeltHeaders } from './header.ts'
import { production } from './shipped/production.ts'
import { definitionWith } from './testing/definitions.ts'

describe('a header', () => {
  test('maps names and aliases in any order to columns, and reports unknown, missing and repeated ones', () => {
    const cells = [
      'Peso neto (kg)',
      'Código Máquina',
      'Fecha Contabilización',
      'Color',
      'CANTIDAD',
      'máquina',
    ]
    expect(mapHeader(production, cells)).toEqual({
      columns: [
        { index: 0, name: 'peso_neto' },
        { index: 1, name: 'maquina_codigo' },
        { index: 2, name: 'fecha_contabilizacion' },
        { index: 4, name: 'cantidad' },
      ],
      unknown: ['Color'],
      missing: ['maquinista_codigo', 'turno', 'lote'],
      twice: [{ column: 'maquina_codigo', headers: ['Código Máquina', 'máquina'] }],
    })
  })

  test('that is exact maps every column; optional ones can be missing', () => {
    const names = production.columns.map(({ name }) => name)
    expect(mapHeader(production, names)).toEqual({
      columns: names.map((name, index) => ({ index, name })),
      unknown: [],
      missing: [],
      twice: [],
    })
    expect(mapHeader(production, names.slice(0, -1)).missing).toEqual([])
    expect(knownHeaders(production)).toContain('fecha_contabilizacion')
  })

  test('cannot contain a column that other programs write', () => {
    const definition = definitionWith([
      { name: 'a', type: 'text' },
      { name: 'flag', type: 'boolean', managed: true, required: true },
    ])
    expect(mapHeader(definition, ['a', 'flag'])).toMatchObject({ unknown: ['flag'], missing: [] })
  })

  test('of empty cells maps no column', () => {
    expect(mapHeader(production, ['', '-']).unknown).toEqual(['', '-'])
  })
})

describe('the closest name', () => {
  test.each([
    ['Fecha Contabilizacin', 'fecha_contabilizacion'],
    ['cantidda', 'cantidad'],
    ['Peso neto total', 'peso_neto'],
    ['turnos', 'turno'],
    ['Color', null],
    ['', null],
    ['a', null],
  ])('to %j is %j', (text, name) => {
    expect(closestName(production, text)).toBe(name)
  })
})

describe('a header cell that is probably misspelt', () => {
  const definition = definitionWith([
    ...['name', 'zip', 'phone', 'address1', 'material', 'fax'].map((name) => ({
      name,
      type: 'text' as const,
    })),
    { name: 'weight', type: 'text', aliases: ['Peso neto'] },
  ])
  const misspelt = (cell: string, absent = definition.columns.map(({ name }) => name)) =>
    misspeltHeaders(definition, { ignored: [cell], absent }).map(({ column, known }) => [column, known])

  test.each([
    ['nmae', 'name', 'name'],
    ['Naem', 'name', 'name'],
    ['names', 'name', 'name'],
    ['ZIPP', 'zip', 'zip'],
    ['zip\n(CP)', 'zip', 'zip'],
    ['phone\r\nnumber', 'phone', 'phone'],
    ['Fone', 'phone', undefined],
    ['Materail', 'material', 'material'],
    ['peso nteo', 'weight', 'peso_neto'],
  ])('%j is reported with the column %s', (cell, column, known) => {
    expect(misspelt(cell)).toEqual(known === undefined ? [] : [[column, known]])
  })

  test.each(['address2', 'address', 'material desc', 'max', 'tip', 'id', '', 'note', 'lote\n(2)', 'game'])(
    '%j is a different column',
    (cell) => {
      expect(misspelt(cell)).toEqual([])
    },
  )

  test('does not exist if the file has the column', () => {
    expect(misspelt('nmae', ['zip'])).toEqual([])
  })
})
