import { info, warn } from './console.mjs'
import { demo } from './demo.mjs'
import { dev } from './dev.mjs'
import { exitCodeOf, LaunchError } from './errors.mjs'
import { openLifetime } from './lifetime.mjs'
import { reset } from './reset.mjs'
import { readSettings } from './settings.mjs'
import { start } from './start.mjs'
import { test, testChanged, testLong, testUnit, testWatch } from './test.mjs'
import { cleanTestdata, testdata } from './testdata.mjs'

/** @typedef {(context: { settings: import('./settings.mjs').Settings, life: import('./lifetime.mjs').Lifetime, args: string[] }) => Promise<number>} Command */

/** @type {Record<string, { run: Command, purpose: string }>} */
const COMMANDS = {
  start: {
    run: start,
    purpose: 'start everything on this machine, until Ctrl-C (--once: stop after the demo)',
  },
  demo: { run: demo, purpose: 'import the sample file into the running system' },
  test: {
    run: test,
    purpose: 'run all checks and tests with their own services; arguments are passed to vitest',
  },
  'test:unit': { run: testUnit, purpose: 'run the tests that need no services, without a build' },
  'test:changed': {
    run: testChanged,
    purpose: 'run the unit and integration tests of what has changed (since a commit)',
  },
  'test:watch': { run: testWatch, purpose: 'the same, repeated on every change' },
  'test:long': {
    run: testLong,
    purpose: 'run all variants of the tests, then half an hour of load and faults',
  },
  dev: { run: dev, purpose: 'like start, but rebuild and restart on every change' },
  testdata: { run: testdata, purpose: 'fill a test system; --files, --rows and --events set how much' },
  'testdata:clean': { run: cleanTestdata, purpose: 'empty the test database in DATABASE_URL' },
  reset: { run: reset, purpose: 'delete the data folder' },
}

/**
 * Runs one launcher command to its end, releases all it started, and returns the exit code of the process.
 * @param {string} name
 * @param {string[]} args
 * @returns {Promise<number>}
 */
export async function runCommand(name, args) {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) {
    warn(`unknown command "${name}". The commands are:`)
    for (const [known, { purpose }] of Object.entries(COMMANDS)) warn(`  ${known.padEnd(14)} ${purpose}`)
    return 2
  }
  const life = openLifetime()
  let code = 0
  try {
    code = await command.run({ settings: readSettings(), life, args })
  } catch (error) {
    code = exitCodeOf(error)
    if (life.signal.aborted) info(`interrupted (${life.reason()})`)
    else
      warn(
        error instanceof LaunchError ? error.message : String(error instanceof Error ? error.stack : error),
      )
  }
  const clean = await life.end()
  return clean || code !== 0 ? code : 1
}
