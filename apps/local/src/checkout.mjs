import { mkdirSync, mkdtempSync, readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { during, info } from './console.mjs'
import { isForbidden, LaunchError } from './errors.mjs'
import { waitForLock } from './lock.mjs'
import { mustRun } from './processes.mjs'
import { toolEnvironment } from './settings.mjs'

/**
 * Runs `work`, which changes the checkout (install, build), under a lock: two launchers must not do it at once.
 * @template T
 * @param {import('./settings.mjs').Settings} settings
 * @param {AbortSignal} signal
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withCheckout({ root }, signal, work) {
  if (!canChange(root)) {
    throw new LaunchError(
      `this user cannot write to the checkout ${root}, so nothing can be installed or built there. Run this as its owner, or use a copy.`,
    )
  }
  const file = join(root, '.turbo', 'aduana.lock')
  const lock = await waitForLock(file, signal, ({ pid }) =>
    info(`waiting for process ${pid}, which is installing or building in this checkout …`),
  )
  try {
    return await work()
  } finally {
    lock.release()
  }
}

/**
 * Returns whether this user may install and build in a checkout. An existing build can be started without that.
 * @param {string} root
 * @returns {boolean}
 */
export function canChange(root) {
  const cache = join(root, '.turbo')
  try {
    mkdirSync(cache, { recursive: true })
    rmdirSync(mkdtempSync(join(cache, 'write-')))
    return true
  } catch (error) {
    if (isForbidden(error)) return false
    throw error
  }
}

/**
 * Builds what has changed since the last build.
 * @param {import('./settings.mjs').Settings} settings
 * @param {AbortSignal} signal
 */
export async function build(settings, signal) {
  await during('building', () =>
    mustRun({
      what: 'the build',
      command: ['turbo', 'run', 'build', '--output-logs=errors-only'],
      env: toolEnvironment(settings),
      cwd: settings.root,
      logFile: join(settings.logsDir, 'build.log'),
      signal,
    }),
  )
}

/**
 * The folder of each program and package, by name: given a pattern, depcruise looks through node_modules for it.
 * @param {string} root
 * @returns {string[]}
 */
export function sourceFolders(root) {
  return ['apps', 'packages'].flatMap((group) =>
    readdirSync(join(root, group), { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [join(group, entry.name, 'src')] : [],
    ),
  )
}
