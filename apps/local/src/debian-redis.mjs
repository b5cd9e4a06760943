import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { LaunchError, systemCode } from './errors.mjs'
import { tailOf } from './logs.mjs'
import { mustRun } from './processes.mjs'

const PACKAGES = ['redis-server', 'valkey-server']
const TIMEOUT_MS = 120_000

/**
 * Downloads Redis (or Valkey) and the libraries it lacks from the distribution's mirror with apt's usual signature
 * checks, and unpacks them into a folder. Needs no privileges and installs nothing.
 * @param {string} folder made at the end, whole or not at all
 * @param {AbortSignal} [signal]
 * @returns {Promise<string | undefined>} why it did not work
 */
export async function debianRedis(folder, signal) {
  mkdirSync(dirname(folder), { recursive: true })
  const work = mkdtempSync(join(dirname(folder), 'fetch-'))
  const logFile = join(work, 'apt.log')
  const env = { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' }
  const run = (/** @type {string} */ what, /** @type {string[]} */ command) =>
    mustRun({ what, command, env, logFile, timeoutMs: TIMEOUT_MS, ...(signal && { signal }) })
  try {
    for (const part of ['lists/partial', 'cache/archives/partial', 'root']) {
      mkdirSync(join(work, part), { recursive: true })
    }
    const apt = ['apt-get', '-q', ...aptOptions(work)]
    await run('apt-get update', [...apt, 'update'])
    await download(run, apt)
    const archives = join(work, 'cache', 'archives')
    for (const name of readdirSync(archives).filter((entry) => entry.endsWith('.deb'))) {
      await run(`unpacking ${name}`, ['dpkg-deb', '-x', join(archives, name), join(work, 'root')])
    }
    moveInPlace(join(work, 'root'), folder)
    return undefined
  } catch (error) {
    // The log is removed with the folder, so its relevant lines are returned.
    if (error instanceof LaunchError)
      return `${error.message.split('. The end of')[0]}: ${complaints(logFile)}`
    throw error
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/**
 * @param {(what: string, command: string[]) => Promise<void>} run
 * @param {string[]} apt
 */
async function download(run, apt) {
  /** @type {unknown} */
  let last
  for (const name of PACKAGES) {
    try {
      const install = ['install', '--yes', '--download-only', '--no-install-recommends', name]
      return await run(`apt-get download of ${name}`, [...apt, ...install])
    } catch (error) {
      if (!(error instanceof LaunchError)) throw error
      last = error
    }
  }
  throw last
}

/**
 * @param {string} work
 * @returns {string[]} redirect apt to our folders, and prevent the hooks of the machine
 */
function aptOptions(work) {
  const options = [
    `Dir::State::lists=${join(work, 'lists')}`,
    `Dir::Cache=${join(work, 'cache')}`,
    `Dir::Cache::archives=${join(work, 'cache', 'archives')}`,
    'Debug::NoLocking=1',
    'APT::Sandbox::User=',
    'APT::Update::Post-Invoke=',
    'APT::Update::Post-Invoke-Success=',
    'Acquire::Languages=none',
    'Acquire::Retries=1',
    'Acquire::http::Timeout=10',
    'Acquire::https::Timeout=10',
  ]
  return options.flatMap((option) => ['-o', option])
}

/**
 * @param {string} from
 * @param {string} folder
 */
function moveInPlace(from, folder) {
  if (statSync(folder, { throwIfNoEntry: false }) !== undefined)
    rmSync(folder, { recursive: true, force: true })
  try {
    renameSync(from, folder)
  } catch (error) {
    // Another launcher was faster with the same files.
    if (systemCode(error) !== 'ENOTEMPTY' && systemCode(error) !== 'EEXIST') throw error
  }
}

/** @param {string} logFile */
function complaints(logFile) {
  const lines = tailOf(logFile, 40)
    .split('\n')
    .filter((line) => /^(E|Err|W):/.test(line))
  return lines.slice(0, 2).join(' ')
}
