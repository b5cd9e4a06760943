import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type Engine, startEngine } from './engine.ts'
import type { TaskProgress } from './protocol.ts'
import { openTestEngine, type TestEngine } from './testing/engine.ts'

let own: TestEngine
let engine: Engine
let job = ''

beforeAll(async () => {
  own = await openTestEngine()
  engine = own.engine
})
afterAll(() => own.close())
beforeEach(async () => {
  job = await own.addJob()
})

const rows = (sql: string, params?: string[]) => own.rows(job, sql, params)

// A process that has ended but is not yet reaped by its new parent counts as ended.
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

/** A statement that runs for hours; its intermediate data fits into the memory of the engine. */
const ENDLESS =
  'SELECT count(*) AS n FROM range(1000000) a, range(1000000) b, range(1000000) c WHERE hash(a.range, b.range, c.range) = 1'
const runEndless = (options: Parameters<Engine['query']>[1] = {}) =>
  engine.query({ workDir: job, statements: [{ name: 'endless', sql: ENDLESS, as: 'rows' }] }, options)

/** Resolves with the first report of progress of an endless task, which keeps running. */
function untilRunning(signal?: AbortSignal) {
  let outcome: Promise<unknown> = Promise.resolve()
  const started = new Promise<TaskProgress>((resolve, reject) => {
    outcome = runEndless({ onProgress: resolve, ...(signal ? { signal } : {}) })
    outcome.catch(reject)
  })
  return { started, outcome: () => outcome }
}

describe('a task in trouble', () => {
  test('is stopped when aborted, and the next one works in the same process', async () => {
    const abort = new AbortController()
    const { started, outcome } = untilRunning(abort.signal)
    const pid = engine.pid()
    await started
    abort.abort()
    await expect(outcome()).rejects.toMatchObject({ name: 'AbortError', code: 'aborted' })
    expect(await rows('SELECT 1 AS one')).toEqual([{ one: 1 }])
    // DuckDB heard the interrupt: no need to replace the process.
    expect(engine.pid()).toBe(pid)
    expect(await readdir(job)).toEqual([])
  })

  test('does not begin if it is aborted while it waits', async () => {
    const first = new AbortController()
    const second = new AbortController()
    const { started, outcome } = untilRunning(first.signal)
    await started
    const waiting = runEndless({ signal: second.signal })
    second.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'aborted' })
    await expect(runEndless({ signal: second.signal })).rejects.toMatchObject({ code: 'aborted' })
    first.abort()
    await expect(outcome()).rejects.toMatchObject({ code: 'aborted' })
  })

  test('whose process is killed fails as engine_crashed; the waiting one runs in a new process', async () => {
    const { started, outcome } = untilRunning()
    await started
    const pid = engine.pid() ?? 0
    const waiting = rows('SELECT 42 AS n')
    process.kill(pid, 'SIGKILL')
    await expect(outcome()).rejects.toMatchObject({
      code: 'engine_crashed',
      message: expect.stringContaining('SIGKILL'),
    })
    expect(await waiting).toEqual([{ n: 42 }])
    expect(engine.pid()).not.toBe(pid)
    expect(await readdir(job)).toEqual([])
  })

  test('is aborted when the engine closes', async () => {
    const other = await startEngine({ memoryLimitMb: 128, threads: 1 })
    const running = other.query({ workDir: job, statements: [{ name: 'endless', sql: ENDLESS, as: 'rows' }] })
    const outcome = expect(running).rejects.toMatchObject({ code: 'aborted' })
    await other.close()
    await outcome
    await expect(other.query({ workDir: job, statements: [] })).rejects.toMatchObject({ code: 'aborted' })
    expect(other.pid()).toBe(undefined)
  })
})

describe('the process', () => {
  test('that runs out of heap reports it, and the next task works', async () => {
    const small = await startEngine({ memoryLimitMb: 512, threads: 1, maxOldSpaceMb: 32 })
    const sql = "SELECT repeat(range::VARCHAR || 'ñ', 200) AS x FROM range(90000)"
    const greedy = small.query({ workDir: job, statements: [{ name: 'q', sql, as: 'rows' }] })
    await expect(greedy).rejects.toMatchObject({ code: 'engine_out_of_memory' })
    const next = await small.query({
      workDir: job,
      statements: [{ name: 'q', sql: 'SELECT 1 AS one', as: 'rows' }],
    })
    expect(next.q?.rows).toEqual([{ one: 1 }])
    await small.close()
  })

  test('does not outlive its parent', async () => {
    const script = `import { startEngine } from ${JSON.stringify(new URL('../dist/engine.js', import.meta.url).href)}
      const engine = await startEngine({ memoryLimitMb: 128, threads: 1 })
      process.stdout.write(String(engine.pid()))`
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [pid] = await once(parent.stdout, 'data')
    expect(isAlive(Number(pid))).toBe(true)
    parent.kill('SIGKILL')
    await vi.waitFor(() => expect(isAlive(Number(pid))).toBe(false), { timeout: 5_000, interval: 20 })
  })
})
