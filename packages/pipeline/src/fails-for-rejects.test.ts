import { expect, test } from 'vitest'
import { failsForRejects } from './fails-for-rejects.ts'

test.each([
  ['as many rejects as the dataset allows', 0.25, { records: 8, rejected: 2, clean: 6 }, false],
  ['one more', 0.25, { records: 8, rejected: 3, clean: 5 }, true],
  ['no clean record, although all may be rejected', 1, { records: 2, rejected: 2, clean: 0 }, true],
  ['only repeated records beside its rejects', 1, { records: 3, rejected: 1, clean: 0 }, true],
  ['one clean record, if all others may be rejected', 1, { records: 100, rejected: 99, clean: 1 }, false],
  ['no records at all', 0, { records: 0, rejected: 0, clean: 0 }, false],
])('whether an import fails that has %s', (_, maxRejectRatio, counts, fails) => {
  expect(failsForRejects({ maxRejectRatio }, counts)).toBe(fails)
})
