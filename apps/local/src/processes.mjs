import { spawn } from 'node:child_process'
import { accessSync, closeSync, constants, mkdirSync, openSync, statSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Interrupted, LaunchError, systemCode } from './errors.mjs'
import { startLogWriter } from './log-writer-process.mjs'
import { tailOf } from './logs.mjs'
import { startReaper, updateReaper } from './reaper.mjs'
import { LOG_BYTES, rotateLog } from './rotation.mjs'

/** @typedef {{ code: number | null, signal: NodeJS.Signals | null, error?: Error }} Ending */

/**
 * A long-running child in a session of its own, so that Ctrl-C reaches the launcher only.
 * @typedef {object} Service
 * @property {string} name
 * @property {number} pid 0 when it could not be started
 * @property {string} logFile
 * @property {Promise<Ending>} exited
 * @property {() => boolean} running
 */

/** @type {Set<number>} leaders of the process groups we started and have not seen end */
const groups = new Set()

/** Time for the last output of an ended service to reach its log. */
const LAST_LINES_MS = 2000

/**
 * Starts a program that runs until it is stopped; its output is appended to its log, which rotates. It counts as ended
 * when its last lines are in the log.
 * @param {object} options
 * @param {string} options.name
 * @param {string[]} options.command program and arguments
 * @param {NodeJS.ProcessEnv} options.env
 * @param {string} options.logFile
 * @param {string} [options.cwd]
 * @param {{ bytes: number, files: number }} [options.logLimits] when the log is put aside, and how many files stay
 * @returns {Service}
 */
export function startService({ name, command, env, logFile, cwd, logLimits }) {
  const [program = '', ...args] = command
  startReaper()
  const log = startLogWriter(logFile, logLimits)
  const child = spawn(program, args, { cwd, env, detached: true, stdio: ['ignore', log.input, log.input] })
  log.input.destroy()
  const pid = child.pid ?? 0
  let running = pid !== 0
  const exited = follow(child).then(async (ending) => {
    running = false
    await Promise.race([log.written, delay(LAST_LINES_MS, undefined, { ref: false })])
    return ending
  })
  return { name, pid, logFile, exited, running: () => running }
}

/**
 * Runs a program to its end. Output goes to the log, or to the terminal when there is none.
 * @param {object} options
 * @param {string[]} options.command program and arguments
 * @param {NodeJS.ProcessEnv} options.env
 * @param {AbortSignal} [options.signal] ends it, and rejects with Interrupted
 * @param {string} [options.logFile]
 * @param {string} [options.cwd]
 * @param {string} [options.input] text for its standard input
 * @param {number} [options.timeoutMs] ends it and reports it as killed
 * @returns {Promise<Ending>}
 */
export async function runProgram({ command, env, signal, logFile, cwd, input, timeoutMs }) {
  if (signal?.aborted) throw new Interrupted()
  const log = logFile === undefined ? 'inherit' : openLog(logFile)
  const [program = '', ...args] = command
  startReaper()
  const child = spawn(program, args, {
    cwd,
    env,
    detached: true,
    stdio: [input === undefined ? 'ignore' : 'pipe', log, log],
  })
  if (typeof log === 'number') closeSync(log)
  // A program that ends without reading its input is judged by its exit code.
  child.stdin?.on('error', () => child.stdin?.destroy())
  child.stdin?.end(input)
  const exited = follow(child)
  const stop = () => void stopGroup(child.pid ?? 0, exited, 'SIGTERM', 3000)
  const timer = timeoutMs === undefined ? undefined : setTimeout(stop, timeoutMs)
  signal?.addEventListener('abort', stop, { once: true })
  const ending = await exited
  clearTimeout(timer)
  signal?.removeEventListener('abort', stop)
  if (signal?.aborted) throw new Interrupted()
  return ending
}

/**
 * Like runProgram, but anything else than exit code 0 is an error that shows the end of the log.
 * @param {Parameters<typeof runProgram>[0] & { logFile: string, what: string }} options
 * @returns {Promise<void>}
 */
export async function mustRun({ what, ...options }) {
  const ending = await runProgram(options)
  if (ending.code === 0) return
  const output = tailOf(options.logFile, 25)
  throw new LaunchError(`${what} failed (${describe(ending)}). The end of ${options.logFile}:\n${output}`)
}

/**
 * Stops a service, and kills it and its descendants after the grace period.
 * @param {Service} service
 * @param {{ signal?: NodeJS.Signals, graceMs?: number }} [how]
 */
export async function stopService(service, { signal = 'SIGTERM', graceMs = 10_000 } = {}) {
  await stopGroup(service.pid, service.exited, signal, graceMs)
}

/**
 * @param {Ending} ending
 * @returns {string} for people, such as "exit code 1" or "killed by SIGKILL"
 */
export function describe({ code, signal, error }) {
  if (error) return error.message
  return signal ? `killed by ${signal}` : `exit code ${code}`
}

/** Kills every process group that is still running. */
export function killAll() {
  for (const pid of groups) killGroup(pid)
}

/**
 * Makes the kernel send the signal to a program when the launcher itself is killed. Must be the innermost wrapper:
 * changing the user clears it.
 * @param {string} signal without SIG
 * @param {string[]} command
 * @returns {string[]}
 */
export function endWithLauncher(signal, command) {
  if (process.platform !== 'linux' || findProgram('setpriv') === undefined) return command
  return ['setpriv', '--pdeathsig', signal, '--', ...command]
}

/**
 * @param {string} name
 * @param {string} [path]
 * @returns {string | undefined} the full path of a program on PATH
 */
export function findProgram(name, path = process.env.PATH ?? '') {
  return path
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable)
}

/** @param {string} file */
export function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch (error) {
    if (systemCode(error) === undefined) throw error
    return false
  }
}

/**
 * Resolves when the child has ended; its remaining descendants are killed.
 * @param {import('node:child_process').ChildProcess} child
 * @returns {Promise<Ending>}
 */
function follow(child) {
  const { pid } = child
  if (pid !== undefined) {
    groups.add(pid)
    updateReaper(groups)
  }
  return new Promise((resolve) => {
    child.once('error', (error) => {
      if (pid === undefined) resolve({ code: null, signal: null, error })
    })
    child.once('exit', (code, signal) => {
      if (pid !== undefined) {
        groups.delete(pid)
        killGroup(pid)
        updateReaper(groups)
      }
      resolve({ code, signal })
    })
  })
}

/**
 * @param {number} pid
 * @param {Promise<Ending>} exited
 * @param {NodeJS.Signals} signal
 * @param {number} graceMs
 */
async function stopGroup(pid, exited, signal, graceMs) {
  if (pid === 0) return
  if (groups.has(pid)) {
    signalProcess(pid, signal)
    const patience = new AbortController()
    const late = delay(graceMs, 'late', { signal: patience.signal, ref: true }).catch(() => 'ended')
    if ((await Promise.race([exited, late])) === 'late') killGroup(pid)
    patience.abort()
  }
  await exited
}

/** @param {number} pid leader of a process group: it and its descendants are killed, if any is left */
function killGroup(pid) {
  if (pid !== 0) signalProcess(-pid, 'SIGKILL')
}

/**
 * @param {number} pid
 * @param {NodeJS.Signals} signal
 */
function signalProcess(pid, signal) {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (systemCode(error) !== 'ESRCH') throw error
  }
}

/**
 * The log of a program that runs to its end: it is put aside between two runs.
 * @param {string} logFile
 */
function openLog(logFile) {
  mkdirSync(dirname(logFile), { recursive: true })
  const size = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0
  if (size > LOG_BYTES) rotateLog(logFile)
  return openSync(logFile, 'a', 0o600)
}
