import { StoreError } from '@aduana/artifacts/store'
import { EngineError } from '@aduana/engine/errors'
import { describe, expect, test } from 'vitest'
import { LostFileError, RefusedError, readFailure, TryAgainError } from './failure.ts'

/** Returns an error as PostgreSQL reports it. */
const sqlError = (code: string, more: object = {}) => Object.assign(new Error('refused'), { code, ...more })

describe('the load', () => {
  test.each([
    ['a value that is too long', '22001', undefined],
    ['a repeated key', '23505', 'the_key'],
    ['a value that a check refuses', '23514', 'the_check'],
    ['a row that is too large', '54000', undefined],
    ['an exception of a trigger', 'P0001', undefined],
    ['a partition that overlaps', '42P17', undefined],
  ])('fails for good when the table refuses %s', (_, code, constraint) => {
    const { failure, transient } = readFailure(sqlError(code, { constraint }), 'load')
    expect(transient).toBe(false)
    expect(failure).toMatchObject({ code: 'constraint_violated' })
    expect(failure.constraint).toBe(constraint)
  })

  test.each(['57P01', '08006', '40P01', '40001', '55P03', '53300'])(
    'is retried when PostgreSQL is unavailable or busy (%s)',
    (code) => {
      expect(readFailure(sqlError(code), 'load')).toMatchObject({
        transient: true,
        failure: { code: 'internal' },
      })
    },
  )

  test('fails for good because of a programming error', () => {
    expect(readFailure(sqlError('42703'), 'load')).toMatchObject({
      transient: false,
      failure: { code: 'internal' },
    })
  })
})

test('in any other stage, a refusal by a table is a programming error', () => {
  expect(readFailure(sqlError('23505', { constraint: 'x' }), 'quarantine')).toMatchObject({
    transient: false,
    failure: { code: 'internal' },
  })
})

test.each(['engine_crashed', 'disk_full', 'aborted'] as const)(
  'an engine that stops with %s is tried again',
  (code) => {
    expect(readFailure(new EngineError(code, 'x'), 'validate')).toEqual({
      transient: true,
      failure: { code: 'internal', detail: 'x' },
    })
  },
)

test.each([
  ['bad_input', 'unreadable_file'],
  ['engine_out_of_memory', 'engine_out_of_memory'],
  ['internal', 'internal'],
] as const)('an engine that stops with %s is not tried again', (code, told) => {
  expect(readFailure(new EngineError(code, 'x'), 'parse')).toMatchObject({
    transient: false,
    failure: { code: told },
  })
})

test('failures of a store, aborts and changed rows are retried', () => {
  const abort = Object.assign(new Error('x'), { name: 'AbortError' })
  for (const error of [new StoreError('missing', 'x'), new TryAgainError('x')])
    expect(readFailure(error, 'load')).toEqual({
      transient: true,
      failure: { code: 'internal', detail: 'x' },
    })
  expect(readFailure(abort, 'load')).toMatchObject({ transient: true, failure: { code: 'internal' } })
})

test('a refusal is reported unchanged', () => {
  const failure = { code: 'window_too_wide', detail: 'x' }
  expect(readFailure(new RefusedError(failure), 'validate')).toEqual({ transient: false, failure })
})

test.each([
  ['none', 'gone'],
  ['sender', 'gone Upload the file again.'],
  ['validate', 'gone Retry the job: it begins again at validate, which creates the file again.'],
] as const)('a lost file of %s is reported with advice', (madeBy, detail) => {
  expect(readFailure(new LostFileError('gone', madeBy), 'load')).toEqual({
    transient: false,
    failure: { code: 'artifact_missing', detail },
  })
})

test('a thrown value that is not an error is reported by its text', () => {
  expect(readFailure('odd', 'parse')).toEqual({
    transient: false,
    failure: { code: 'internal', detail: 'odd' },
  })
})
