import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PROGRAMS } from './application.mjs'
import { LaunchError } from './errors.mjs'
import { endWithLauncher } from './processes.mjs'
import { readState } from './state.mjs'

/** @typedef {{ url: string, email: string, password: string }} Login */

/**
 * `npm run demo`: imports the sample into the system that `npm start` runs, or into the one at ADUANA_URL.
 * @type {import('./commands.mjs').Command}
 */
export async function demo({ settings, life }) {
  const login = namedSystem() ?? ownSystem(settings.dataDir)
  if (login !== undefined) return runCli(settings, login, ['demo'], life)
  throw new LaunchError(
    `Aduana is not running on ${settings.dataDir}. Start it with: npm start\n` +
      'Or name another system with ADUANA_URL, ADUANA_EMAIL and ADUANA_PASSWORD.',
  )
}

/**
 * @param {string} dataDir
 * @returns {Login | undefined} the system that `npm start` runs, with the login that the environment names, if any
 */
function ownSystem(dataDir) {
  const state = readState(dataDir)
  if (state === undefined) return undefined
  const { ADUANA_EMAIL: email, ADUANA_PASSWORD: password } = process.env
  return { ...state, email: email || state.email, password: password || state.password }
}

/** @returns {Login | undefined} the system that the environment names, with whom to log in */
export function namedSystem() {
  const { ADUANA_URL: url, ADUANA_EMAIL: email, ADUANA_PASSWORD: password } = process.env
  return url && email && password ? { url, email, password } : undefined
}

/**
 * Runs the demo once per data folder: a success is remembered there.
 * @param {import('./settings.mjs').Settings} settings
 * @param {Login} login
 * @param {import('./lifetime.mjs').Lifetime} life
 * @returns {Promise<number>} its exit code; 0 if it had been run before
 */
export async function runFirstDemo(settings, login, life) {
  const marker = join(settings.dataDir, 'demo-done')
  if (existsSync(marker)) return 0
  const code = await runCli(settings, login, ['demo'], life)
  if (code === 0) writeFileSync(marker, `${new Date().toISOString()}\n`)
  return code
}

/**
 * Runs the command-line program against a system.
 * @param {import('./settings.mjs').Settings} settings
 * @param {Login} login
 * @param {string[]} args
 * @param {import('./lifetime.mjs').Lifetime} life
 * @returns {Promise<number>} its exit code
 */
export function runCli({ root }, { url, email, password }, args, life) {
  life.check()
  const env = { ...process.env, ADUANA_URL: url, ADUANA_EMAIL: email, ADUANA_PASSWORD: password }
  const [program = '', ...rest] = endWithLauncher('TERM', [
    process.execPath,
    join(root, PROGRAMS.cli),
    ...args,
  ])
  // In the launcher's own process group: it draws on the terminal and receives Ctrl-C itself.
  const child = spawn(program, rest, { cwd: root, env, stdio: 'inherit' })
  life.own(`the command ${args[0]}`, () => child.kill('SIGKILL'))
  life.signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
}
