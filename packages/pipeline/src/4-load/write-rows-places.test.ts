import { expect, test } from 'vitest'
import { bothPlaces } from './write-rows.ts'

test('the union of two sets of places is unknown where either is unknown', () => {
  const one = { days: ['2024-01-02'], companies: ['B', 'A'], warehouses: null }
  const other = { days: ['2024-01-01', '2024-01-02'], companies: null, warehouses: ['W'] }
  expect(bothPlaces(one, other)).toEqual({
    days: ['2024-01-01', '2024-01-02'],
    companies: null,
    warehouses: null,
  })
  expect(bothPlaces(other, one)).toEqual(bothPlaces(one, other))
  expect(bothPlaces(one, { ...other, companies: ['C'] })).toMatchObject({ companies: ['A', 'B', 'C'] })
})
