import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { processExists } from './lock.mjs'
import { tailOf } from './logs.mjs'
import { startService, stopService } from './processes.mjs'
import { openRotatingLog, rotateLog } from './rotation.mjs'

let dir = ''
let log = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'aduana-rotation-'))
  log = join(dir, 'service.log')
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** The files of the log, the oldest first. */
const files = () => {
  const age = (/** @type {string} */ name) => Number(/\.(\d+)$/.exec(name)?.[1] ?? 0)
  const names = readdirSync(dir).filter((name) => name.startsWith('service.log'))
  return names.sort((one, other) => age(other) - age(one))
}
/** All that is in them, in the order in which it was written. */
const kept = () =>
  files()
    .map((name) => readFileSync(join(dir, name), 'utf8'))
    .join('')
const LIMITS = { bytes: 4096, files: 500 }

/** Numbered lines of different lengths, on both outputs. */
const LINES = (/** @type {number} */ count) => `
  for (let line = 1; line <= ${count}; line += 1)
    require('node:fs').writeSync(1 + (line % 2), 'line ' + line + ' ' + 'x'.repeat(line % 97) + '\\n')`

describe('a log that rotates', () => {
  test('keeps every line of a service, whole and in order, in files of a limited size', async () => {
    const service = startService({
      name: 'service',
      command: [process.execPath, '-e', LINES(20_000)],
      env: process.env,
      logFile: log,
      logLimits: LIMITS,
    })
    await service.exited
    const lines = kept().split('\n')
    expect(lines.pop()).toBe('')
    const numbers = lines.map((line) => Number(/^line (\d+) x*$/.exec(line)?.[1]))
    expect(numbers).toEqual(Array.from({ length: 20_000 }, (_, index) => index + 1))
    expect(files().length).toBeGreaterThan(200)
    for (const name of files()) expect(statSync(join(dir, name)).size).toBeLessThanOrEqual(LIMITS.bytes)
  })

  test('keeps a limited number of the newest files', () => {
    const rotating = openRotatingLog(log, { bytes: 10, files: 3 })
    for (let line = 0; line < 50; line += 1) rotating.write(Buffer.from(`line ${line}\n`))
    rotating.close()
    expect(files()).toEqual(['service.log.3', 'service.log.2', 'service.log.1', 'service.log'])
    expect(kept()).toBe('line 46\nline 47\nline 48\nline 49\n')
  })

  test('does not cut a line in two, however it arrives', () => {
    const rotating = openRotatingLog(log, { bytes: 10, files: 9 })
    for (const part of ['ab', 'cd\nef', 'gh\nijkl', 'mnopqrstuvwxyz', '0123\n', '4\n5\n6\n7\n8\n9\n'])
      rotating.write(Buffer.from(part))
    rotating.close()
    expect(files().map((name) => readFileSync(join(dir, name), 'utf8'))).toEqual([
      'abcd\nefgh\n',
      'ijklmnopqrstuvwxyz0123\n',
      '4\n5\n6\n7\n8\n',
      '9\n',
    ])
  })

  test('continues in the file that another writer of the same log has begun', () => {
    const [one, other] = [
      openRotatingLog(log, { bytes: 10, files: 9 }),
      openRotatingLog(log, { bytes: 10, files: 9 }),
    ]
    for (let line = 0; line < 8; line += 1) (line % 2 ? one : other).write(Buffer.from(`line ${line}\n`))
    one.close()
    other.close()
    expect(kept().split('\n').sort()).toEqual(['', ...Array.from({ length: 8 }, (_, line) => `line ${line}`)])
  })

  test('records how much is missing after the disk was full', () => {
    symlinkSync('/dev/full', log)
    const rotating = openRotatingLog(log)
    for (const line of ['one\n', 'two\n']) rotating.write(Buffer.from(line))
    rmSync(log)
    rotating.write(Buffer.from('three\n'))
    rotating.close()
    expect(kept()).toBe('{"event":"log.lost","bytes":8}\nthree\n')
  })

  test('is whole when its service has been killed', async () => {
    const script = `${LINES(3000)}; process.kill(process.pid, 'SIGKILL')`
    const service = startService({
      name: 'service',
      command: [process.execPath, '-e', script],
      env: process.env,
      logFile: log,
      logLimits: LIMITS,
    })
    expect(await service.exited).toMatchObject({ signal: 'SIGKILL' })
    expect(tailOf(log, 1)).toMatch(/^line 3000 x*$/)
  })

  test('keeps the output of a service after its launcher was killed', { timeout: 30_000 }, async () => {
    const launcher = join(dir, 'launcher.mjs')
    const service = `
      process.stdout.write('begins ' + process.pid + '\\n')
      process.on('SIGTERM', () => { process.stdout.write('stops\\n', () => process.exit()) })
      setInterval(() => undefined, 1000)`
    writeFileSync(
      launcher,
      `import { startService } from ${JSON.stringify(new URL('./processes.mjs', import.meta.url).href)}
      startService({ name: 'service', command: [process.execPath, '-e', ${JSON.stringify(service)}],
        env: { PATH: process.env.PATH }, logFile: ${JSON.stringify(log)} })
      setInterval(() => {}, 1000)`,
    )
    const child = spawn(process.execPath, [launcher], { stdio: 'inherit' })
    await vi.waitFor(() => expect(readFileSync(log, 'utf8')).toMatch(/begins \d+\n/), {
      timeout: 10_000,
      interval: 20,
    })
    const pid = Number(/begins (\d+)/.exec(readFileSync(log, 'utf8'))?.[1])
    child.kill('SIGKILL')
    await once(child, 'exit')
    await vi.waitFor(() => expect(processExists(pid)).toBe(false), { timeout: 20_000, interval: 50 })
    await vi.waitFor(() => expect(readFileSync(log, 'utf8')).toMatch(/stops\n$/), {
      timeout: 5000,
      interval: 20,
    })
  })

  test('of a restarted service continues in the same files', async () => {
    for (let start = 0; start < 3; start += 1) {
      const service = startService({
        name: 'service',
        command: ['sh', '-c', `echo start ${start}; exec sleep 60`],
        env: process.env,
        logFile: log,
        logLimits: { bytes: 10, files: 5 },
      })
      await vi.waitFor(() => expect(kept()).toContain(`start ${start}\n`), { timeout: 5000, interval: 20 })
      await stopService(service)
    }
    expect(kept()).toBe('start 0\nstart 1\nstart 2\n')
  })
})

test('rotating a missing log does nothing', () => {
  rotateLog(log)
  expect(files()).toEqual([])
})
