import { expect, test } from 'vitest'
import { EngineError, toEngineError } from './errors.ts'

test.each([
  [Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }), 'disk_full'],
  [new Error('IO Error: Could not write file "x": No space left on device'), 'disk_full'],
  [Object.assign(new Error('EFBIG: file too large, write'), { code: 'EFBIG' }), 'disk_full'],
  [Object.assign(new Error('EROFS: read-only file system, open'), { code: 'EROFS' }), 'disk_full'],
  [new Error('IO Error: Could not write file "x": File too large'), 'disk_full'],
  [new Error('Conversion Error: Could not convert string "file too large"'), 'sql_error'],
  [
    new Error('Out of Memory Error: could not allocate block of size 1 MiB\n\nPossible solutions:'),
    'engine_out_of_memory',
  ],
  [new Error('INTERRUPT Error: Interrupted!'), 'aborted'],
  [new Error('Binder Error: Referenced column "x" not found'), 'sql_error'],
  [Object.assign(new Error('unexpected end of file'), { code: 'Z_BUF_ERROR' }), 'bad_input'],
  [new TypeError('x is not a function'), 'internal'],
  [new EngineError('not_conserved', 'the books do not balance'), 'not_conserved'],
])('%s has the stable code %s', (error, code) => {
  expect(toEngineError(error).code).toBe(code)
})
