import { expect, test } from 'vitest'
import type { SampleReport } from '../sample/sample.ts'
import { job } from '../testing/jobs.ts'
import { compare, freePeriod } from './demo.ts'

const made: SampleReport = {
  dataset: 'production',
  seed: 1,
  from: '2026-01-01',
  to: '2026-03-01',
  records: 11,
  good: 7,
  rejected: 2,
  duplicates: 1,
  conflicts: 1,
  kinds: { shift_seven: 2 },
  reasons: [{ column: 'turno', code: 'too_large', rejects: 2 }],
}
const counts = { records: 11, loaded: 7, quarantined: 2, duplicates: 1, conflicts: 1 }
const reason = { column: 'turno', code: 'too_large', rejects: 2, example: '"7" is more than 3', line: 5 }

function differing(...given: Parameters<typeof compare>) {
  return compare(...given).filter(({ expected, found }) => expected !== found)
}

test('a demo with the expected result has no difference', () => {
  expect(differing(made, job({ counts }), [reason])).toEqual([])
})

test('a demo detects a lost row, a missing reason and an unexpected one', () => {
  expect(
    differing(made, job({ counts: { ...counts, loaded: 6 } }), [{ ...reason, code: 'too_small' }]),
  ).toEqual([
    { figure: 'loaded', expected: 7, found: 6 },
    { figure: 'too_large (turno)', expected: 2, found: 0 },
    { figure: 'too_small (turno)', expected: 0, found: 2 },
  ])
})

test('a demo takes the latest two past months that no import has declared', () => {
  const now = new Date('2026-02-10T00:00:00Z')
  expect(freePeriod([], now)).toEqual({ from: '2025-12-01', to: '2026-02-01' })
  const taken = [
    { parameters: { from: '2026-01-15', to: '2026-01-16' } },
    { parameters: { fileName: 'x.csv' } },
  ]
  expect(freePeriod(taken, now)).toEqual({ from: '2025-10-01', to: '2025-12-01' })
})
