import { randomUUID } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ImportAccepted } from '@aduana/contracts/jobs'
import { startApi, type TestApi } from '@aduana/testkit/api'
import { startProxy } from '@aduana/testkit/proxy'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { importForm, productionFile } from './testing/multipart.ts'

let system: TestSystem
let proxy: Awaited<ReturnType<typeof startProxy>>
let api: TestApi

beforeAll(async () => {
  system = await createTestSystem()
  const { hostname, port } = new URL(system.database.url)
  proxy = await startProxy({ host: hostname, port: Number(port) })
  api = await startApi(system, { DATABASE_URL: proxy.urlOf(system.database.url) })
})
afterAll(async () => {
  await api.process.stop()
  await proxy.close()
  await system.close()
})

const send = (file: string, key: string) =>
  api.fetch('/api/imports', {
    method: 'POST',
    body: importForm(file),
    headers: { 'idempotency-key': key },
  })
const originals = async () =>
  (await readdir(join(system.dataDir, 'artifacts'), { recursive: true })).filter((name) =>
    name.endsWith('original'),
  )

test.each([
  ['whose COMMIT is done but not answered', 'reply lost', 202],
  ['whose COMMIT never arrived', 'cut before', 503],
] as const)('an import %s is accepted once, however often it is sent', async (_, fault, status) => {
  const before = (await originals()).length
  const [file, key] = [productionFile(), randomUUID()]
  const trap = proxy.atCommit([key], fault)
  const first = await send(file, key)
  await trap.sprung
  expect(first.status).toBe(status)
  const second = await send(file, key)
  expect(second.status).toBe(202)
  const { id } = ImportAccepted.parse(await second.json())
  if (first.status === 202) expect(ImportAccepted.parse(await first.json()).id).toBe(id)
  const third = await send(file, key)
  expect(third.headers.get('idempotency-replayed')).toBe('true')
  expect(ImportAccepted.parse(await third.json()).id).toBe(id)
  const rows = await system.database.pool.query(
    `select j.id, a.key from jobs j join artifacts a on a.job_id = j.id
     where j.content_sha256 = (select content_sha256 from jobs where id = $1)`,
    [id],
  )
  expect(rows.rows.map((row) => row.id)).toEqual([id])
  expect((await originals()).length).toBe(before + 1)
})

test('an import that commits long after its client received an error still has its file', async () => {
  const [file, key] = [productionFile(), randomUUID()]
  const trap = proxy.atCommit([key], 'late')
  const first = send(file, key)
  await trap.sprung
  expect((await first).status).toBe(503)
  trap.release()
  const second = await send(file, key)
  expect(second.status).toBe(202)
  expect(second.headers.get('idempotency-replayed')).toBe('true')
  const { id } = ImportAccepted.parse(await second.json())
  const artifact = await api.fetch(`/api/jobs/${id}/artifacts/original`)
  expect(await artifact.text()).toBe(file)
})

test('the API logs a warning while jobs wait without a worker', () =>
  api.process.untilLogged('queue.no_consumer', 60_000))
