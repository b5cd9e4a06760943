import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { delimiter, moment } from './arguments.ts'

const { TZ } = process.env
beforeAll(() => {
  process.env.TZ = 'Europe/Madrid'
})
afterAll(() => {
  if (TZ === undefined) delete process.env.TZ
  else process.env.TZ = TZ
})

describe('a point in time', () => {
  test.each([
    ['2026-12-01T05:00', '2026-12-01T05:00:00+01:00'],
    ['2026-07-01 05:00:30', '2026-07-01T05:00:30+02:00'],
    ['2026-12-01T05:00:00Z', '2026-12-01T05:00:00Z'],
    ['2026-12-01 05:00-05:00', '2026-12-01T05:00:00-05:00'],
    // The first of the two.
    ['2026-10-25T02:30', '2026-10-25T02:30:00+02:00'],
  ])('%s is %s on a machine in Madrid', (text, expected) => {
    expect(moment(text)).toBe(expected)
  })

  test.each([
    ['2026-03-29T02:30', 'This time does not exist in the zone of this machine.'],
    ['2026-02-30T05:00', 'does not exist'],
    ['2026-12-01', 'It must be a time with a zone'],
    ['tomorrow', 'It must be a time with a zone'],
    ['2026-13-01T05:00', 'It must be a time with a zone'],
    ['2026-12-01T05:00+20:00', 'within 14 hours of UTC'],
  ])('%s is refused', (text, message) => {
    expect(() => moment(text)).toThrow(message)
  })
})

test('a delimiter is one character, or the word tab', () => {
  expect([';', '|', 'tab', '\\t', '\t'].map(delimiter)).toEqual([';', '|', '\t', '\t', '\t'])
  for (const text of ['', ';;', 'a', '"']) expect(() => delimiter(text)).toThrow('It must be "tab"')
})
