import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { FileCoverage } from 'istanbul-lib-coverage'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { collectCoverage } from './collect.ts'
import { measuringOption } from './measure.ts'
import { shortfalls, summarize, table } from './summary.ts'

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url))
const RUNTIME = ['packages/runtime']

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aduana coverage-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Run a program that measures itself. */
async function runMeasured(program: string): Promise<void> {
  const env = { PATH: process.env.PATH, NODE_OPTIONS: measuringOption(folder) }
  await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { env, cwd: ROOT })
}

/** How often a function of a source file has run, as far as it is counted. */
function timesRun(file: FileCoverage, name: string): number | undefined {
  const found = Object.entries(file.fnMap).find(([, { name: known }]) => known === name)
  return found && file.f[found[0]]
}

test('what several processes have run of a module is put together; what none has loaded has not run', async () => {
  const module = './packages/runtime/dist/lifecycle.js'
  await runMeasured(`(await import('${module}')).processExists(process.pid)`)
  await runMeasured(`(await import('${module}')).untilStopped(process.pid); process.exit(0)`)
  await runMeasured('// nothing of the product')
  expect(await readdir(folder)).toHaveLength(2)

  const map = await collectCoverage(ROOT, folder, RUNTIME)
  const lifecycle = map.fileCoverageFor(join(ROOT, 'packages/runtime/src/lifecycle.ts'))
  expect(timesRun(lifecycle, 'processExists')).toBe(1)
  expect(timesRun(lifecycle, 'untilStopped')).toBe(1)
  expect(timesRun(lifecycle, 'createResources')).toBe(0)
  const config = map.fileCoverageFor(join(ROOT, 'packages/runtime/src/config.ts'))
  expect(config.toSummary().statements).toMatchObject({ covered: 0, total: expect.any(Number) })
  expect(config.toSummary().statements.total).toBeGreaterThan(0)

  const summaries = summarize(ROOT, map, RUNTIME)
  expect(table(summaries)).toMatch(/packages\/runtime( +\d+\.\d){4}\nall( +\d+\.\d){4}$/)
  expect(shortfalls(summaries, 80)).toEqual([
    expect.stringMatching(
      /^packages\/runtime: the tests run only .* % of its statements,.* % of its lines; 80 % are required$/,
    ),
  ])
  expect(shortfalls(summaries, 1)).toEqual([])
})
