import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { build, sourceFolders, withCheckout } from './checkout.mjs'
import { info, warn } from './console.mjs'
import { install } from './install.mjs'
import { startPostgres } from './postgres.mjs'
import { describe, runProgram } from './processes.mjs'
import { startRedis } from './redis.mjs'
import { findRedis } from './redis-binaries.mjs'
import { sideBySide } from './services.mjs'
import { makeDataDir, toolEnvironment } from './settings.mjs'
import { readTally } from './tally.mjs'
import { makeTestFolders } from './test-folder.mjs'

/** @typedef {{ title: string, command: string[] }} Check */
/** @typedef {{ url: string, stop: () => Promise<void> }} TestService */

/** Checks that write into the checkout: two of them must not do so at once. */
const WRITING = new Set(['build', 'bundle'])

/**
 * `npm test`: every check and every test, on a PostgreSQL and a Redis of its own; arguments go to vitest. When all tests
 * run, coverage is measured, and each package must reach the thresholds of `vitest.config.ts`.
 * All checks run even if one fails; the exit code is that of the first failure.
 * @type {import('./commands.mjs').Command}
 */
export async function test({ settings, life, args }) {
  const { signal } = life
  await prepare(settings, signal)
  const { dir, scratch } = makeTestFolders(settings.dataDir, life)
  const env = await startTestServices(settings, scratch, life)

  const report = join(dir, 'vitest.json')
  const forVitest = args.length === 0 ? ['--mode', 'complete', '--coverage'] : args
  const failures = []
  for (const check of checksOf(settings.root, forVitest, report)) {
    info(`${check.title}: ${check.command.join(' ').replaceAll(dir, '…')}`)
    const run = () => runProgram({ command: check.command, env, cwd: settings.root, signal })
    const ending = await (WRITING.has(check.title) ? withCheckout(settings, signal, run) : run())
    if (ending.code === 0) continue
    failures.push({ title: check.title, code: ending.code || 1 })
    warn(`${check.title} failed (${describe(ending)})`)
  }
  const tally = readTally(report)
  await life.end()
  if (failures.length > 0) warn(`failed: ${failures.map(({ title }) => title).join(', ')}`)
  console.log(`${tally.passed} passed, ${tally.failed} failed`)
  return failures[0]?.code ?? 0
}

/**
 * `npm run test:unit`: the tests that need no service, from the sources; arguments go to vitest.
 * @type {import('./commands.mjs').Command}
 */
export async function testUnit({ settings, life, args }) {
  await prepare(settings, life.signal)
  return runVitest(['run', '--project', 'unit', ...args], testEnvironment(settings), settings, life)
}

/**
 * `npm run test:changed`: the unit and integration tests that reach what git shows as changed, or what differs from the
 * commit that is given, from the sources; further arguments go to vitest.
 * @type {import('./commands.mjs').Command}
 */
export function testChanged({ settings, life, args }) {
  const since = args[0]?.startsWith('-') === false ? args[0] : 'HEAD'
  const others = since === args[0] ? args.slice(1) : args
  return testSources({ settings, life, args: ['run', '--passWithNoTests', `--changed=${since}`, ...others] })
}

/**
 * `npm run test:watch`: the unit and integration tests of what changes, again and again, from the sources; arguments go to
 * vitest.
 * @type {import('./commands.mjs').Command}
 */
export function testWatch({ settings, life, args }) {
  return testSources({ settings, life, args: ['watch', ...args] })
}

/**
 * `npm run test:long`: all variants of the tests that `npm test` samples, then mixed load and faults; arguments go
 * to the latter.
 * @type {import('./commands.mjs').Command}
 */
export async function testLong({ settings, life, args }) {
  const { root: cwd } = settings
  const { signal } = life
  await prepare(settings, signal)
  await withCheckout(settings, signal, () => build(settings, signal))
  const { scratch } = makeTestFolders(settings.dataDir, life)
  const env = { ...(await startTestServices(settings, scratch, life)), ADUANA_TESTS_LONG: '1' }
  const variants = await runVitest(['run'], env, settings, life)
  const soak = [process.execPath, 'apps/faults/dist/soak/main.js', ...args]
  const { code } = await runProgram({ command: soak, env, cwd, signal })
  return variants || (code ?? 1)
}

/**
 * Runs vitest on the tests that start no program of ours, from the sources. Only the engine's child process is compiled:
 * Node 20 reads no TypeScript.
 * @type {import('./commands.mjs').Command}
 */
async function testSources({ settings, life, args }) {
  const { signal } = life
  await prepare(settings, signal)
  const { scratch } = makeTestFolders(settings.dataDir, life)
  const env = await startTestServices(settings, scratch, life)
  const compile = { command: ['tsc', '-b', 'packages/engine'], env, cwd: settings.root, signal }
  const compiled = await withCheckout(settings, signal, () => runProgram(compile))
  if (compiled.code !== 0) return compiled.code || 1
  return runVitest([...args, '--project', 'unit', '--project', 'integration'], env, settings, life)
}

/**
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @param {import('./settings.mjs').Settings} settings
 * @param {import('./lifetime.mjs').Lifetime} life
 * @returns {Promise<number>} the exit code
 */
async function runVitest(args, env, { root: cwd }, { signal }) {
  const ending = await runProgram({ command: ['vitest', ...args], env, cwd, signal })
  return ending.code ?? 1
}

/**
 * Makes the data folder and installs what is locked.
 * @param {import('./settings.mjs').Settings} settings
 * @param {AbortSignal} signal
 */
async function prepare(settings, signal) {
  makeDataDir(settings)
  await withCheckout(settings, signal, () => install(settings, signal))
}

/**
 * @param {string} root
 * @param {string[]} args for vitest
 * @param {string} report
 * @returns {Check[]} in order
 */
function checksOf(root, args, report) {
  const reporters = [
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    '--reporter=./packages/testkit/src/tier-times.ts',
  ]
  return [
    { title: 'lint and format', command: ['biome', 'check', '.'] },
    { title: 'build', command: ['tsc', '-b'] },
    { title: 'bundle', command: [process.execPath, 'apps/worker/bundle.mjs'] },
    {
      title: 'import directions',
      command: ['depcruise', '--config', '.dependency-cruiser.mjs', ...sourceFolders(root)],
    },
    { title: 'unused exports and dependencies', command: ['knip', '--no-progress'] },
    { title: 'tests', command: ['vitest', 'run', ...reporters, ...args] },
  ]
}

/**
 * @param {import('./settings.mjs').Settings} settings
 * @param {string} dir
 * @param {import('./lifetime.mjs').Lifetime} life
 * @returns {Promise<NodeJS.ProcessEnv>} the environment of the checks; nothing of the user's own services is in it
 */
async function startTestServices(settings, dir, life) {
  info('starting PostgreSQL and Redis for the tests …')
  const { signal } = life
  /** @type {{ name: string, start: () => Promise<TestService>, stop: (service: TestService) => unknown }[]} */
  const starts = [
    {
      name: 'PostgreSQL',
      start: () => startPostgres({ dir: join(dir, 'postgres'), durable: false, signal }),
      stop: (service) => service.stop(),
    },
    {
      name: 'Redis',
      start: async () => {
        const binary = await findRedis({ toolsDir: settings.toolsDir, signal, onMessage: info })
        return startRedis({ dir: join(dir, 'redis'), persistent: false, binary, signal })
      },
      stop: (service) => service.stop(),
    },
  ]
  const [postgres, redis] = await sideBySide(starts, life)
  if (postgres === undefined || redis === undefined) throw new Error('two services were started')
  const scratch = join(dir, 'tmp') // so that an interrupted test leaves nothing either
  mkdirSync(scratch)
  return {
    ...testEnvironment(settings),
    TMPDIR: scratch,
    TEST_DATABASE_URL: postgres.url,
    TEST_REDIS_URL: redis.url,
    ADUANA_DATA_DIR: join(dir, 'data'),
    ADUANA_TOOLS_DIR: settings.toolsDir,
  }
}

/**
 * @param {import('./settings.mjs').Settings} settings
 * @returns {NodeJS.ProcessEnv} the environment without anything of the user's own services
 */
function testEnvironment(settings) {
  const users = ['DATABASE_URL', 'REDIS_URL', 'PORT', 'HOST']
  const kept = Object.entries(toolEnvironment(settings)).filter(
    ([name]) => !users.includes(name) && !name.startsWith('ADUANA_'),
  )
  return Object.fromEntries(kept)
}
