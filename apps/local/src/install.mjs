import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { during, info } from './console.mjs'
import { LaunchError, systemCode } from './errors.mjs'
import { findProgram, mustRun } from './processes.mjs'
import { toolEnvironment } from './settings.mjs'

/**
 * Installs the dependencies exactly as locked, with the pnpm that package.json pins, when they are not yet.
 * The caller holds the checkout's lock.
 * @param {import('./settings.mjs').Settings} settings
 * @param {AbortSignal} signal
 */
export async function install(settings, signal) {
  const { root, logsDir } = settings
  const stampFile = join(root, 'node_modules', '.aduana-install')
  const stamp = stampOf(root)
  if (readIfThere(stampFile) === stamp) return
  const logFile = join(logsDir, 'install.log')
  rmSync(logFile, { force: true })
  const pinned = pinnedPnpm(root)
  const size = existsSync(stampFile) ? '' : ' (about 200 MB the first time)'
  await during(`installing dependencies with ${pinned}${size}`, () =>
    mustRun({
      what: 'the installation of the dependencies',
      // CI: pnpm does not prompt and changes neither lockfile nor settings.
      command: [...pnpmCommand(root, pinned), 'install', '--frozen-lockfile'],
      // An npx that runs the launcher leaves its arguments in the environment, where the next npx would read them.
      env: {
        ...toolEnvironment(settings),
        CI: 'true',
        npm_config_package: undefined,
        npm_config_call: undefined,
      },
      cwd: root,
      logFile,
      signal,
    }),
  )
  writeFileSync(stampFile, stamp)
  info('dependencies are installed')
}

/**
 * @param {string} root
 * @returns {string} such as pnpm@12.21.0
 */
function pinnedPnpm(root) {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  if (typeof packageManager === 'string' && /^pnpm@\d/.test(packageManager)) return packageManager
  throw new LaunchError('package.json does not pin pnpm. Set its field "packageManager".')
}

/**
 * @param {string} root
 * @param {string} pinned
 * @returns {string[]} the installed pnpm if it is the pinned one, else npx, which fetches it
 */
function pnpmCommand(root, pinned) {
  const manifest = readIfThere(join(root, 'node_modules', 'pnpm', 'package.json'))
  if (manifest !== undefined && `pnpm@${JSON.parse(manifest).version}` === pinned) {
    return [join(root, 'node_modules', '.bin', 'pnpm')]
  }
  if (findProgram('npx') !== undefined) return ['npx', '--yes', pinned]
  throw new LaunchError(
    `npx is not on PATH, so ${pinned} cannot be downloaded. Install npm, which includes npx.`,
  )
}

/**
 * @param {string} root
 * @returns {string} differs when an installation is due
 */
function stampOf(root) {
  const hash = createHash('sha256')
  for (const name of ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml']) {
    hash.update(readFileSync(join(root, name)))
  }
  hash.update(`${process.platform} ${process.arch} ${process.versions.modules} ${root}`)
  return hash.digest('hex')
}

/** @param {string} file */
function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}
