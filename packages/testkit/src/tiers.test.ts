import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testFiles, tierOf } from './tiers.ts'

let root = ''
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'aduana-tiers-'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

function write(path: string, text: string): string {
  mkdirSync(dirname(join(root, path)), { recursive: true })
  writeFileSync(join(root, path), text)
  return path
}

describe('the tier of a test depends on its imports', () => {
  test.each([
    ['unit', `import { parse } from './parse.ts'`],
    ['unit', `import type pg from 'pg'`],
    ['integration', `import pg from 'pg'`],
    ['integration', `import { serviceUrl } from '@aduana/testkit/settings'`],
    ['integration', `import { spawn } from 'node:child_process'`],
    ['integration', `const { startEngine } = await import${'('}'@aduana/engine/engine')`],
    ['integration', `import {\n  type A,\n  openTestS3,\n} from '@aduana/testkit/s3'`],
    ['system', `import { startProduct } from '@aduana/testkit/processes'`],
  ])('%s: %s', (tier, text) => {
    expect(tierOf(root, write('packages/jobs/src/a.test.ts', text))).toBe(tier)
  })

  test('directly and through test support, but not through the product', () => {
    const file = write(
      'packages/jobs/src/b.test.ts',
      `import { a } from './testing/a.ts'\nimport './product.ts'`,
    )
    write('packages/jobs/src/product.ts', `import pg from 'pg'`)
    write('packages/jobs/src/testing/a.ts', `export const a = 1`)
    expect(tierOf(root, file)).toBe('unit')
    write('packages/jobs/src/testing/a.ts', `export { b } from './b.ts'`)
    write('packages/jobs/src/testing/b.ts', `import { b } from '@aduana/testkit/database'`)
    write('packages/testkit/src/database.ts', `import { serviceUrl } from './settings.ts'`)
    expect(tierOf(root, file)).toBe('integration')
  })

  test('and is system for a test that starts a program of an app, or faults if it makes the program fail', () => {
    const starts = `import { spawn } from 'node:child_process'`
    expect(tierOf(root, write('apps/cli/src/a.test.ts', starts))).toBe('system')
    expect(tierOf(root, write('apps/worker/src/undo-kill.test.ts', starts))).toBe('faults')
    expect(tierOf(root, write('apps/faults/src/a.test.ts', starts))).toBe('faults')
    expect(tierOf(root, write('apps/faults/src/b.test.ts', ''))).toBe('unit')
  })
})

test('every test file is found', () => {
  expect(testFiles(fileURLToPath(new URL('../../..', import.meta.url)))).toContain(
    'packages/testkit/src/tiers.test.ts',
  )
})

test('a unit test has no address of a service', () => {
  expect([process.env.TEST_DATABASE_URL, process.env.TEST_REDIS_URL]).toEqual(['', ''])
})

test('a unit test that starts a process fails, also if a module of the product starts it', async () => {
  const { execFile } = await import('node:child' + '_process')
  expect(() => execFile(process.execPath, ['--version'])).toThrow(/A unit test has started a process/)
})
