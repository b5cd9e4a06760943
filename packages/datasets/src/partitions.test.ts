import { describe, expect, test } from 'vitest'
import { type ExistingPartition, isMonth, partitionsFor, partitionsOver } from './partitions.ts'
import { production } from './shipped/production.ts'

const month = (from: string | null, to: string | null, change: Partial<ExistingPartition> = {}) => ({
  ...{ name: `fact_production_${from?.slice(0, 7).replace('-', '_')}`, from, to, plain: true },
  ...change,
})
const FEBRUARY = { name: 'fact_production_2024_02', from: '2024-02-01', to: '2024-03-01' }

test('days are in the partitions of their months, each once and in order', () => {
  expect(partitionsFor(production, ['2024-12-31', '2024-02-29', '2025-01-01', '2024-02-01'])).toEqual([
    FEBRUARY,
    { name: 'fact_production_2024_12', from: '2024-12-01', to: '2025-01-01' },
    { name: 'fact_production_2025_01', from: '2025-01-01', to: '2025-02-01' },
  ])
  expect(partitionsFor(production, [])).toEqual([])
})

describe('a month', () => {
  test.each([
    ['its own partition', month('2024-02-01', '2024-03-01')],
    ['a partition that ends in it', month('2024-01-01', '2024-02-02')],
    ['a partition that begins in it', month('2024-02-29', '2024-04-01')],
    ['a partition of the whole year', month('2024-01-01', '2025-01-01')],
    ['a default partition', month(null, null)],
    ['a partition without an end', month('2024-01-01', null)],
  ])('can have rows in %s', (_, existing) => {
    expect(partitionsOver(FEBRUARY, [existing])).toEqual([existing])
  })

  test.each([
    ['before', month('2024-01-01', '2024-02-01')],
    ['after', month('2024-03-01', '2024-04-01')],
  ])('has no rows in the partition of the month %s', (_, existing) => {
    expect(partitionsOver(FEBRUARY, [existing])).toEqual([])
  })

  test('has its own partition if name and bounds are those that a load creates, and it is not partitioned further', () => {
    const own = month('2024-02-01', '2024-03-01')
    expect(isMonth(own, FEBRUARY)).toBe(true)
    expect(isMonth({ ...own, name: 'other' }, FEBRUARY)).toBe(false)
    expect(isMonth({ ...own, from: '2024-01-31' }, FEBRUARY)).toBe(false)
    expect(isMonth({ ...own, to: '2024-03-02' }, FEBRUARY)).toBe(false)
    expect(isMonth({ ...own, plain: false }, FEBRUARY)).toBe(false)
    expect(isMonth(undefined, FEBRUARY)).toBe(false)
  })
})
