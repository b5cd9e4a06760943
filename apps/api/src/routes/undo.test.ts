import { randomUUID } from 'node:crypto'
import { JobAccepted } from '@aduana/contracts/jobs'
import { Problem } from '@aduana/contracts/problems'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { importForm, productionFile } from '../testing/multipart.ts'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

let api: TestApi
let operator: TestUser
beforeAll(async () => {
  api = await startApi()
  operator = await api.addUser('operator')
})
afterAll(() => api.close())

/** An import as its load leaves it, without a worker. */
async function loadedImport(): Promise<string> {
  const answer = await operator.ask('/api/imports', {
    method: 'POST',
    body: importForm(productionFile(), { dataset: 'production', force: 'true' }),
  })
  const { id } = JobAccepted.parse(await answer.json())
  await api.db
    .insertInto('stage_results')
    .values({
      ...{ job_id: id, stage: 'load', attempt: 1, try: 1, state: 'done', worker: 'test' },
      finished_at: new Date(),
      output: JSON.stringify({ beforeRows: 0 }),
    })
    .execute()
  const none = { records: 0, loaded: 0, inserted: 0, updated: 0, unchanged: 0, removed: 0, quarantined: 0 }
  await api.db
    .updateTable('jobs')
    .set({ ...none, duplicates: 0, status: 'COMPLETED', loaded_at: new Date(), completed_at: new Date() })
    .where('id', '=', id)
    .execute()
  return id
}

const ask = (id: string, init: Parameters<TestUser['ask']>[1] = {}, as = operator) =>
  as.ask(`/api/jobs/${id}/undo`, { method: 'POST', ...init })
const unwind = { body: '{"unwind":true}', headers: { 'content-type': 'application/json' } }

describe('POST /api/jobs/{id}/undo', () => {
  test('returns the job of the undo, with or without a body', async () => {
    for (const init of [{}, unwind]) {
      const importId = await loadedImport()
      const answer = await ask(importId, init)
      expect(answer.status).toBe(202)
      const { id } = JobAccepted.parse(await answer.json())
      expect(answer.headers.get('location')).toBe(`/api/jobs/${id}`)
      const job = await (await operator.ask(`/api/jobs/${id}`)).json()
      expect(job).toMatchObject({
        type: 'undo',
        parent: importId,
        status: 'QUEUED',
        parameters: { unwind: 'body' in init },
      })
    }
  })

  test('requests one undo if repeated with its key, and is refused without the key while one is open', async () => {
    const importId = await loadedImport()
    const headers = { 'idempotency-key': randomUUID() }
    const [first, second] = [await ask(importId, { headers }), await ask(importId, { headers })]
    const { id } = JobAccepted.parse(await first.json())
    expect(JobAccepted.parse(await second.json()).id).toBe(id)
    const third = await ask(importId)
    expect(third.status).toBe(409)
    expect(Problem.parse(await third.json())).toMatchObject({ code: 'undo_open', jobId: id })
  })

  test('is for operators and their own imports', async () => {
    const importId = await loadedImport()
    expect((await ask(importId, {}, await api.addUser('viewer'))).status).toBe(403)
    expect((await ask(importId, {}, await api.addUser('operator'))).status).toBe(404)
    expect((await ask(importId, {}, await api.addUser('admin'))).status).toBe(202)
  })

  test('refuses unknown fields', async () => {
    const headers = { 'content-type': 'application/json' }
    const answer = await ask(await loadedImport(), { body: '{"unwnd":true}', headers })
    expect(answer.status).toBe(400)
  })
})
