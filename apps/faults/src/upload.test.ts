import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { startApi, type TestApi } from '@aduana/testkit/api'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { brokenGuarantees } from './guarantees.ts'
import { sample } from './production-file.ts'

vi.setConfig({ testTimeout: 200_000 })

let system: TestSystem
let api: TestApi
beforeAll(async () => {
  system = await createTestSystem({ workers: 1 })
  api = await startApi(system)
}, 200_000)
afterAll(async () => {
  await api.process.stop()
  await system.close()
})

const Accepted = z.object({ id: z.uuid() })
const Refused = z.object({ code: z.literal('already_imported'), jobId: z.uuid() })

async function storedFiles(): Promise<string[]> {
  const folder = join(system.dataDir, 'artifacts')
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile() && entry.name !== 'store-id').map(({ name }) => name)
}

test('the same file sent fifty times at once is imported once, and the other responses name its job', async () => {
  const responses = await Promise.all(
    Array.from({ length: 50 }, () => api.upload(sample('same'), { dataset: 'production' })),
  )
  const accepted = responses.filter(({ status }) => status === 202)
  const refused = responses.filter(({ status }) => status === 409)
  expect([accepted.length, refused.length]).toEqual([1, 49])
  const { id } = Accepted.parse(await accepted[0]?.json())
  for (const answer of refused) expect(Refused.parse(await answer.json()).jobId).toBe(id)
  expect((await system.finished(id, 60_000)).status).toBe('COMPLETED')
  expect((await storedFiles()).filter((name) => name === 'original')).toHaveLength(1)
  expect(await brokenGuarantees(system.database.pool, system.store)).toEqual([])
})

test('a client that disconnects during an upload leaves nothing behind', async () => {
  const before = await storedFiles()
  const body = [
    '--b\r\nContent-Disposition: form-data; name="dataset"\r\n\r\nproduction\r\n',
    '--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n',
    sample('half').repeat(20),
  ].join('')
  const client = new AbortController()
  const sending = api.fetch('/api/imports', {
    method: 'POST',
    headers: { 'content-type': 'multipart/form-data; boundary=b' },
    // The stream never ends: only half of the file arrives.
    body: new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from(body)) }),
    duplex: 'half',
    signal: client.signal,
  })
  const incoming = async () => (await storedFiles()).length > before.length
  await until(incoming, { what: 'the upload has begun', within: 60_000 })
  client.abort()
  await expect(sending).rejects.toThrow('abort')
  await until(async () => !(await incoming()), { what: 'the partial file is removed', within: 60_000 })
  expect((await storedFiles()).sort()).toEqual(before.sort())
  expect((await system.database.pool.query('select from jobs')).rowCount).toBe(1)
})
