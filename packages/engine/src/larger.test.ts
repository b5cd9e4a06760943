import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Engine, startEngine } from './engine.ts'
import { orLarger } from './larger.ts'
import { openTestEngine, type TestEngine } from './testing/engine.ts'

let own: TestEngine
let small: Engine
let large: Engine
let job = ''

beforeAll(async () => {
  own = await openTestEngine()
  job = await own.addJob()
  const start = (memoryLimitMb: number) => startEngine({ memoryLimitMb, threads: 1 })
  ;[small, large] = await Promise.all([start(64), start(512)])
})
afterAll(async () => {
  await Promise.all([small.close(), large.close(), own.close()])
})

const task = (sql: string) => ({
  workDir: job,
  statements: [{ name: 'q', sql, as: 'rows' as const }],
})
/** A list is built in memory and cannot spill. */
const GREEDY = 'SELECT len(list(range)) AS n FROM range(10000000)'

test('a task that runs out of memory is repeated by the larger engine', async () => {
  await expect(small.query(task(GREEDY))).rejects.toMatchObject({ code: 'engine_out_of_memory' })
  const seen: number[] = []
  const options = { onProgress: ({ fraction }: { fraction: number }) => void seen.push(fraction) }
  const { q } = await orLarger(small, large).query(task(GREEDY), options)
  expect(q?.rows).toEqual([{ n: 10_000_000 }])
  expect(seen).toEqual([...seen].sort((a, b) => a - b))
})

test('a task that also exceeds the larger engine fails as out of memory', async () => {
  await expect(orLarger(small, small).query(task(GREEDY))).rejects.toMatchObject({
    code: 'engine_out_of_memory',
  })
})

test('a task that fails for another reason is not repeated', async () => {
  const never: Engine = {
    ...large,
    query: () => Promise.reject(new Error('the larger engine was asked')),
  }
  const failing = orLarger(small, never).query(task('SELECT nothing FROM nowhere'))
  await expect(failing).rejects.toMatchObject({ code: 'sql_error' })
})
