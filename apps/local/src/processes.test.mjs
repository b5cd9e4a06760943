import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { processExists } from './lock.mjs'
import { mustRun, runProgram, startService, stopService } from './processes.mjs'
import { supervise } from './supervise.mjs'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'aduana-processes-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** A service with a child of its own that hears no signal but KILL; it writes both process ids. */
const STUBBORN = 'trap "" TERM INT; (while :; do sleep 0.05; done) & echo "$$ $!" > "$0"; wait'

/** @param {string} file */
async function pidsIn(file) {
  await vi.waitFor(() => expect(readFileSync(file, 'utf8')).toMatch(/\d+ \d+\n/), {
    timeout: 5000,
    interval: 20,
  })
  return readFileSync(file, 'utf8').trim().split(' ').map(Number)
}

/** The same, but the child ends when it is asked to; it writes the process ids once it can be asked. */
const ORDERLY =
  'trap "" TERM INT; (trap "exit 0" TERM; echo "$$ $(exec sh -c \'echo $PPID\')" > "$0"; while :; do sleep 0.05; done) & wait'

/**
 * @param {string} name
 * @param {string} [script]
 */
function stubborn(name, script = STUBBORN) {
  const pids = join(dir, name)
  const command = ['sh', '-c', script, pids]
  return { pids, options: { name, command, env: process.env, logFile: join(dir, `${name}.log`) } }
}

test('a service that does not stop in time is killed with its children', async () => {
  const { pids, options } = stubborn('stubborn')
  const service = startService(options)
  const both = await pidsIn(pids)
  await stopService(service, { graceMs: 100 })
  await vi.waitFor(() => expect(both.some(processExists)).toBe(false), { timeout: 5000, interval: 20 })
})

test('a launcher killed with SIGKILL leaves neither its services nor their children', {
  timeout: 30_000,
}, async () => {
  const { pids, options } = stubborn('orphan', ORDERLY)
  const launcher = join(dir, 'launcher.mjs')
  writeFileSync(
    launcher,
    `import { startService } from ${JSON.stringify(new URL('./processes.mjs', import.meta.url).href)}
    import { writeFileSync } from 'node:fs'
    startService({ ...${JSON.stringify({ ...options, env: { PATH: process.env.PATH } })} })
    writeFileSync(${JSON.stringify(join(dir, 'started'))}, '')
    setInterval(() => {}, 1000)`,
  )
  const child = spawn(process.execPath, [launcher], { stdio: 'inherit' })
  const both = await pidsIn(pids)
  await vi.waitFor(() => expect(existsSync(join(dir, 'started'))).toBe(true), { timeout: 5000, interval: 20 })
  expect(both.every(processExists)).toBe(true)
  child.kill('SIGKILL')
  await once(child, 'exit')
  await vi.waitFor(() => expect(both.some(processExists)).toBe(false), { timeout: 20_000, interval: 50 })
})

test('a program that fails is reported with the end of its log, and one that is too slow is killed', async () => {
  const run = { env: process.env, logFile: join(dir, 'run.log') }
  const failing = mustRun({ ...run, what: 'the attempt', command: ['sh', '-c', 'echo because; exit 3'] })
  await expect(failing).rejects.toThrow(/the attempt failed \(exit code 3\)[\s\S]*because/)
  await expect(mustRun({ ...run, what: 'nothing', command: ['no-such-program'] })).rejects.toThrow(
    /spawn no-such-program/,
  )
  expect(await runProgram({ ...run, command: ['sleep', '60'], timeoutMs: 50 })).toEqual({
    code: null,
    signal: 'SIGTERM',
  })
})

test('an aborted program is killed with its children, and is reported as interrupted', async () => {
  const { pids, options } = stubborn('aborted')
  const controller = new AbortController()
  const run = runProgram({ ...options, signal: controller.signal })
  const both = await pidsIn(pids)
  controller.abort()
  await expect(run).rejects.toThrow('interrupted')
  await vi.waitFor(() => expect(both.some(processExists)).toBe(false), { timeout: 5000, interval: 20 })
})

test('a process that dies is restarted, until it has died too often', async () => {
  const log = join(dir, 'flaky.log')
  const again = () =>
    startService({
      name: 'flaky',
      command: ['sh', '-c', 'echo born; exit 7'],
      env: process.env,
      logFile: log,
    })
  /** @type {string[]} */
  const told = []
  const onMessage = (/** @type {string} */ line) => told.push(line)
  const { gaveUp } = supervise({ first: again(), again, mostDeaths: 3, firstDelayMs: 5, onMessage })
  expect((await gaveUp).message).toMatch(/flaky died 4 times .*not started again/)
  expect(told.filter((line) => line.includes(`flaky died (exit code 7); its log: ${log}`))).toHaveLength(3)
  expect(readFileSync(log, 'utf8')).toBe('born\n'.repeat(4))
})

test('a supervised process that is stopped stays stopped', async () => {
  const started = join(dir, 'started')
  const again = () => {
    writeFileSync(started, '')
    return startService({
      name: 'steady',
      command: ['sleep', '60'],
      env: process.env,
      logFile: join(dir, 'steady.log'),
    })
  }
  const first = again()
  rmSync(started)
  const supervised = supervise({ first, again, firstDelayMs: 1 })
  await supervised.stop()
  expect(first.running()).toBe(false)
  expect(existsSync(started)).toBe(false)
})
