import { expect, test } from 'vitest'
import { errorCode, isTransient, violatedConstraint } from './sql-errors.ts'

const withCode = (code: string, cause?: unknown) => Object.assign(new Error('x', { cause }), { code })

// Each was seen while a server, a network or a disk was broken under running imports, or is its documented relative.
test.each([
  ...['08006', '08007', '25006', '25P03', '40001', '40003', '40P01', '53100', '53300', '55P03', '57014'],
  ...['57P01', '57P02', '57P03'],
  ...[
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    'ETIMEDOUT',
    'ENOTFOUND',
    'ENOSPC',
    'EDQUOT',
    'EROFS',
    'EIO',
    'ENFILE',
  ],
])('%s may succeed when it is retried', (code) => {
  expect(isTransient(withCode(code))).toBe(true)
  expect(isTransient(new Error('outer', { cause: withCode(code) }))).toBe(true)
})

test.each(['23505', '22P02', '42P01', '42501', '53400', '57P04', 'XX001', 'ENOENT', 'EACCES', 'EINVAL'])(
  '%s will fail again',
  (code) => {
    expect(isTransient(withCode(code))).toBe(false)
  },
)

test('a connection that broke during a query is transient although it has no code', () => {
  expect(isTransient(new Error('Connection terminated unexpectedly'))).toBe(true)
  expect(isTransient(new Error('Client has encountered a connection error and is not queryable'))).toBe(true)
  expect(isTransient(new Error('timeout expired'))).toBe(true)
  expect(isTransient(new Error('Query read timeout'))).toBe(true)
  expect(isTransient(new Error('anything else'))).toBe(false)
  expect(isTransient('Connection terminated')).toBe(false)
})

test('the code and the constraint are found in the causes', () => {
  const inner = Object.assign(withCode('23505'), { constraint: 'jobs_same_bytes_once' })
  const outer = new Error('outer', { cause: new Error('middle', { cause: inner }) })
  expect(errorCode(outer)).toBe('23505')
  expect(violatedConstraint(outer)).toBe('jobs_same_bytes_once')
  expect(errorCode(undefined)).toBeUndefined()
  expect(violatedConstraint(new Error('plain'))).toBeUndefined()
})
