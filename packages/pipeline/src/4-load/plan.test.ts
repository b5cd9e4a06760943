import { describe, expect, test } from 'vitest'
import type { ImportFacts, StageJob } from '../stage.ts'
import type { ValidateOutput } from '../stage-outputs.ts'
import { plannedDays, replacedDays, windowsOf } from './plan.ts'

const validated = (...days: [scope: string, day: string][]) =>
  ({ days: days.map(([scope, day]) => ({ scope, day, rows: 1 })) }) as ValidateOutput
const facts = (given: Partial<ImportFacts> = {}) =>
  ({ window: null, scopes: [], mode: 'replace-window', ...given }) as ImportFacts
const FOUND = validated(['B', '2024-01-05'], ['A', '2024-01-03'], ['A', '2024-01-01'])
const DECLARED = { from: '2024-01-30', to: '2024-02-02' }

describe('the windows of a load', () => {
  test('reach from the first day to the last of each scope', () => {
    expect(windowsOf(facts(), FOUND)).toEqual([
      { scope: 'A', from: '2024-01-01', to: '2024-01-04' },
      { scope: 'B', from: '2024-01-05', to: '2024-01-06' },
    ])
  })

  test('are the declared one, of the declared scope, whatever the file contains', () => {
    expect(windowsOf(facts({ window: DECLARED, scopes: ['A'] }), FOUND)).toEqual([
      { scope: 'A', ...DECLARED },
    ])
    expect(windowsOf(facts({ window: DECLARED }), FOUND)).toEqual([{ scope: '', ...DECLARED }])
  })

  test('are the whole dataset if it has no days', () => {
    expect(windowsOf(facts(), validated())).toEqual([{ scope: '', from: null, to: null }])
  })
})

describe('the days whose old rows are removed', () => {
  const replaced = (given: Partial<ImportFacts>) => {
    const own = facts(given)
    return replacedDays({ facts: own } as StageJob, windowsOf(own, FOUND), FOUND)
  }

  test('are those of the file, by scope', () => {
    expect(replaced({})).toEqual([
      { scope: 'A', days: ['2024-01-03', '2024-01-01'] },
      { scope: 'B', days: ['2024-01-05'] },
    ])
  })

  test('are all days of a declared window, without the day on which it ends', () => {
    expect(replaced({ window: DECLARED, scopes: ['A'] })).toEqual([
      { scope: 'A', days: ['2024-01-30', '2024-01-31', '2024-02-01'] },
    ])
  })

  test.each(['append', 'upsert'] as const)('are none for the mode %s', (mode) => {
    expect(replaced({ mode })).toEqual([])
    expect(replaced({ mode, window: DECLARED })).toEqual([])
  })
})

test('the planned days are those that are replaced, or those of the file if none are', () => {
  const replaced = [{ scope: 'A', days: ['2024-02-01'] }]
  expect(plannedDays({ windows: [], validated: FOUND, replaced })).toEqual(replaced)
  expect(plannedDays({ windows: [], validated: FOUND, replaced: [] })).toEqual([
    { scope: 'A', days: ['2024-01-03', '2024-01-01'] },
    { scope: 'B', days: ['2024-01-05'] },
  ])
})
