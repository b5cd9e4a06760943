import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestSystem } from '@aduana/testkit/system'
import { expect, test } from 'vitest'
import { findLeftovers } from './leftovers.ts'
import { countWarnings, deadlocksOf } from './log-summary.ts'
import { measureProcesses } from './process-usage.ts'
import { createResponses } from './responses.ts'
import { measureStored } from './stored.ts'

/** Opens a file and deletes it; the other process is its child. */
const LEAKING = `
  const fs = require('node:fs')
  const file = process.argv[1]
  fs.writeFileSync(file, 'x'.repeat(100_000))
  fs.openSync(file, 'r')
  fs.rmSync(file)
  process.stdout.write('leaks')
  setInterval(() => undefined, 1000)`
const PARENT = `
  require('node:child_process').spawn(process.execPath, ['-e', process.argv[1], process.argv[2]], { stdio: 'inherit' })
  setInterval(() => undefined, 1000)`

test('a deleted file that a child process holds open is found, with its bytes', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'aduana-soak-'))
  const child = spawn(process.execPath, ['-e', PARENT, LEAKING, join(folder, 'image')], {
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const { pid = 0 } = child
  const closed = once(child, 'close')
  try {
    await once(child.stdout, 'data')
    const [usage] = await measureProcesses([pid], folder)
    expect(usage).toMatchObject({ pid, deletedFiles: 1 })
    expect(usage?.deletedBytes).toBeGreaterThanOrEqual(100_000)
    expect(usage?.rss).toBeGreaterThan(20_000_000)
    expect(await measureProcesses([pid], join(folder, 'other'))).toMatchObject([{ deletedFiles: 0 }])
  } finally {
    process.kill(-pid, 'SIGKILL')
    await rm(folder, { recursive: true })
  }
  await closed
  expect(await measureProcesses([pid], folder)).toEqual([])
})

test('log lines above info are counted by event, with an example', () => {
  const line = (level: number, event: string, message: string) =>
    JSON.stringify({ level, event, err: { message } })
  const counts = countWarnings([
    line(30, 'stage.ended', ''),
    line(40, 'redis.error', 'away'),
    line(50, 'schedule.failed', 'first'),
    line(50, 'schedule.failed', 'second'),
    'TypeError: x is not a function',
    '',
  ])
  expect([...counts]).toEqual([
    ['error schedule.failed', { times: 2, example: 'first' }],
    ['warn redis.error', { times: 1, example: 'away' }],
    ['not a log line', { times: 1, example: 'TypeError: x is not a function' }],
  ])
})

test('deadlocks are found in the log with their statements', () => {
  const log = `2026-11-30 13:00:00 UTC [1] LOG:  ready
2026-11-30 13:00:01 UTC [2] ERROR:  deadlock detected
2026-11-30 13:00:01 UTC [2] DETAIL:  Process 2 waits for ShareLock
	Process 3: insert into a
2026-11-30 13:00:01 UTC [2] HINT:  See server log
2026-11-30 13:00:01 UTC [2] STATEMENT:  update b
2026-11-30 13:00:02 UTC [2] ERROR:  something else`
  const [deadlock, ...more] = deadlocksOf(log)
  expect(more).toEqual([])
  expect(deadlock).toMatch(/insert into a[\s\S]*update b$/)
})

test('responses are counted, and server errors are listed', async () => {
  const responses = createResponses()
  expect(await responses.record('list', Response.json({ items: [] }))).toEqual({ items: [] })
  expect(
    await responses.record('cancel', Response.json({ code: 'not_found' }, { status: 404 })),
  ).toBeUndefined()
  await responses.record('list', Response.json({ code: 'unavailable' }, { status: 503 }))
  await responses.record('list', Response.json({ code: 'internal' }, { status: 500 }))
  await responses.record('list', undefined)
  expect(responses.counts()).toEqual({
    'list 200': 1,
    'cancel 404 not_found': 1,
    'list 503 unavailable': 1,
    'list 500 internal': 1,
    'list no response': 1,
  })
  expect(responses.faults()).toEqual([expect.stringContaining('list 500 internal')])
})

test('leftovers and growth are measured', async () => {
  const system = await createTestSystem()
  try {
    expect(await findLeftovers(system)).toEqual({})
    const before = await measureStored(system)
    const header = 'fecha;trabajador_codigo;centro_costo;turno;horas_ordinarias'
    const id = await system.accept(`${header}\n2024-01-01;T1;CC1;1;8\n`, { dataset: 'dkt' })
    async function* bytes() {
      yield Buffer.from('never accepted')
    }
    const stray = 'jobs/00000000-0000-4000-8000-000000000000/accept/0/original'
    await system.store.put(stray, bytes())
    await system.database.pool.query('create table load_1_1_1_2024_01 (id bigint)')
    await system.redis.redis.set(`${system.redis.prefix}:1-parse:1`, '')
    expect(await findLeftovers(system)).toEqual({
      'unfinished jobs': [expect.stringContaining(id)],
      'files without a job': [stray],
      'tables of loads': ['load_1_1_1_2024_01'],
    })
    const after = await measureStored(system)
    expect(after.tables.jobs?.count).toBe((before.tables.jobs?.count ?? 0) + 1)
    expect(after.tables.fact_production?.bytes).toBe(before.tables.fact_production?.bytes)
    expect(after.keys).toEqual({ '1-parse': 1 })
    expect(after.files.artifacts).toMatchObject({ count: 2 })
  } finally {
    await system.close()
  }
})
