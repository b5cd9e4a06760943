import { expect, test } from 'vitest'
import { createOutcomes } from './outcomes.ts'

const runId = '00000000-0000-4000-8000-00000000000a'

test('an outcome is returned once, for its own attempt', () => {
  const outcomes = createOutcomes()
  outcomes.remember({ runId, attempt: 1 }, 'SUCCEEDED')
  expect(outcomes.take({ runId, attempt: 2 })).toBeUndefined()
  expect(outcomes.take({ runId, attempt: 1 })).toBe('SUCCEEDED')
  expect(outcomes.take({ runId, attempt: 1 })).toBeUndefined()
})

test('ten thousand outcomes are kept, and each new one then replaces the oldest', () => {
  const outcomes = createOutcomes()
  for (let attempt = 1; attempt <= 10_001; attempt += 1) outcomes.remember({ runId, attempt }, 'FAILED')
  expect(outcomes.take({ runId, attempt: 1 })).toBeUndefined()
  expect(outcomes.take({ runId, attempt: 2 })).toBe('FAILED')
  expect(outcomes.take({ runId, attempt: 10_001 })).toBe('FAILED')
})
