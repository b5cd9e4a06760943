import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'aduana-lint-'))
  const plugins = [join(ROOT, 'lint/guarded-results.grit')]
  writeFileSync(join(folder, 'biome.json'), JSON.stringify({ plugins }))
})
afterAll(() => rmSync(folder, { recursive: true }))

/**
 * @param {string} statement inside an async function
 * @returns {boolean} whether lint refuses to have the result discarded
 */
function isRefused(statement) {
  writeFileSync(join(folder, 'example.ts'), `export async function f(db, tx, run) {\n  ${statement}\n}\n`)
  const biome = join(ROOT, 'node_modules/.bin/biome')
  const { stdout, stderr } = spawnSync(biome, ['lint', '.'], { cwd: folder, encoding: 'utf8' })
  return (stdout + stderr).includes('returns whether it changed anything')
}

test('lint has the rule enabled', () => {
  const config = JSON.parse(readFileSync(join(ROOT, 'biome.json'), 'utf8'))
  expect(config.plugins).toContain('./lint/guarded-results.grit')
})

test.each([
  'await tryCancelJob(tx, run)',
  'tryCancelJob(tx, run)',
  'void tryCloseRun(tx, run)',
  'await inTransaction(db, (tx) => tryFailJob(tx, run))',
])('lint refuses "%s": a guarded change whose result is discarded', (statement) => {
  expect(isRefused(statement)).toBe(true)
})

test.each([
  'return tryCancelJob(tx, run)',
  'if (!(await tryCancelJob(tx, run))) throw new Error("late")',
  'const version = await inTransaction(db, (tx) => tryChangeJob(tx, run))\n  return version',
  'await changeJob(tx, run)',
])('lint accepts "%s"', (statement) => {
  expect(isRefused(statement)).toBe(false)
})
