import { DatasetDefinition, type DatasetDefinitionInput } from '@aduana/contracts/dataset-definition'
import { expect, test } from 'vitest'
import { dkt } from './shipped/dkt.ts'
import { orders } from './shipped/orders.ts'
import { production } from './shipped/production.ts'
import { summedColumns } from './stored-rows.ts'

const summed = (definition: DatasetDefinition) => summedColumns(definition).map(({ name }) => name)
type ColumnInput = DatasetDefinitionInput['columns'][number]

function define(columns: ColumnInput[], more: Partial<DatasetDefinitionInput> = {}): DatasetDefinition {
  return DatasetDefinition.parse({
    ...{ code: 'own', title: { en: 'Own', es: 'Propia' }, table: { name: 'own' } },
    ...{ columns: [{ name: 'day', type: 'date', required: true }, ...columns], loadMode: 'append', ...more },
  })
}

test('sums include amounts, but not a shift, which is a code', () => {
  expect(summed(production)).toEqual(['cantidad', 'peso_neto'])
  expect(summed(orders)).toEqual(['items_count'])
  expect(summed(dkt)).toEqual(['horas_ordinarias', 'horas_extra', 'horas_nocturnas', 'horas_festivas'])
})

test('a whole number is an amount unless it has two bounds above 0', () => {
  const columns: ColumnInput[] = [
    { name: 'free', type: 'integer' },
    { name: 'from_zero', type: 'integer', min: 0, max: 24 },
    { name: 'from_one', type: 'integer', min: 1 },
    { name: 'below', type: 'integer', max: 100 },
    { name: 'month', type: 'integer', min: 1, max: 12 },
    { name: 'year', type: 'decimal', precision: 4, scale: 0, min: 1900, max: 2100 },
    { name: 'whole', type: 'decimal', precision: 20, scale: 0 },
    { name: 'rate', type: 'decimal', precision: 5, scale: 2, min: 1, max: 5 },
    { name: 'counted', type: 'integer', managed: true },
    { name: 'name', type: 'text' },
  ]
  expect(summed(define(columns))).toEqual(['free', 'from_zero', 'from_one', 'below', 'whole', 'rate'])
})

test.each([
  ['unique', { unique: { columns: ['number', 'amount'] } }],
  ['key', { key: ['number', 'amount'] }],
  ['sortBy', { sortBy: ['number', 'amount'] }],
  ['versionColumn', { versionColumn: 'number' }],
  ['replaceScope', { replaceScope: 'number' }],
  ['scope', { scope: { company: 'number' } }],
])('a whole number that identifies rows in %s is a code; an amount never is', (_, more) => {
  const columns: ColumnInput[] = [
    { name: 'number', type: 'integer' },
    { name: 'amount', type: 'decimal', precision: 10, scale: 2 },
  ]
  expect(summed(define(columns, more))).toEqual(['amount'])
})
