import { expect, test } from 'vitest'
import { tooWide, tooWideFailure } from './window-too-wide.ts'

const TODAY = '2026-11-30'
const rule = { loadMode: 'replace-window', maxWindowDays: 400 } as const
const day = (day: string, line: number, rows = 1, scope = '') => ({ scope, day, rows, line })

test('days within the maximum window are not too wide', () => {
  expect(tooWide(rule, [], TODAY)).toBeUndefined()
  expect(tooWide(rule, [day('2026-01-01', 2), day('2027-02-04', 3)], TODAY)).toBeUndefined()
  expect(tooWide({ ...rule, loadMode: 'append' }, [day('1900-01-01', 2), day('2026-01-01', 3)], TODAY)).toBe(
    undefined,
  )
})

test('the named line is one of the few days far from the others', () => {
  const july = Array.from({ length: 31 }, (_, index) =>
    day(`2026-07-${String(index + 1).padStart(2, '0')}`, 2 + index, 9),
  )
  const odd = (...more: ReturnType<typeof day>[]) => tooWide(rule, [...july, ...more], TODAY)
  expect(odd(day('1900-01-01', 77))?.odd).toEqual({ line: 77, day: '1900-01-01', rows: 1 })
  expect(odd(day('2062-07-01', 40))?.odd).toEqual({ line: 40, day: '2062-07-01', rows: 1 })
  expect(odd(day('2062-07-01', 40), day('2062-07-02', 35))?.odd).toEqual({
    line: 35,
    day: '2062-07-02',
    rows: 2,
  })
  expect(odd(day('2062-07-01', 40))?.nearest).toBe('2026-07-31')
})

test('of two days with equally many rows, the one further from today is named', () => {
  expect(tooWide(rule, [day('2020-01-19', 2), day('1900-01-01', 3)], TODAY)?.odd.line).toBe(3)
  expect(tooWide(rule, [day('2026-01-19', 2), day('2206-01-01', 3)], TODAY)?.odd.line).toBe(3)
})

test('the failure begins with the line, and shows its cell if that is written differently', () => {
  const wide = tooWide(rule, [day('2020-01-19', 2), day('1900-01-01', 3)], TODAY)
  if (!wide) throw new Error('not wide')
  expect(tooWideFailure(wide, rule, '01/01/1900').detail).toMatch(
    /^Line 3 has the date 1900-01-01 \(written "01\/01\/1900"\), 43,847 days from the nearest other day, 2020-01-19\. The accepted records span 43,848 days/,
  )
  expect(tooWideFailure(wide, rule, '1900-01-01').detail).toMatch(
    /^Line 3 has the date 1900-01-01, 43,847 days/,
  )
})
