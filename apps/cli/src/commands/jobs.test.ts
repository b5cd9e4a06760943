import { afterAll, beforeAll, expect, test } from 'vitest'
import { JOB_ID, job } from '../testing/jobs.ts'
import { openScriptedApi, type ScriptedApi } from '../testing/scripted-api.ts'

let api: ScriptedApi
beforeAll(async () => {
  api = await openScriptedApi()
})
afterAll(() => api.close())

test('aduana jobs asks for those that wait, in a state, of a dataset', async () => {
  api.answer('/api/jobs', { items: [], next: null })
  const asked = ['--status', 'processing', '--waiting-for', 'approval', '--dataset', 'orders']
  expect(await api.aduana('jobs', ...asked)).toMatchObject({ code: 0, out: 'There are no such jobs.\n' })
  expect(api.asked()).toEqual(['GET /api/jobs?status=PROCESSING&waitingFor=approval&dataset=orders&limit=20'])
  expect((await api.aduana('jobs', '--waiting-for', 'rain')).code).toBe(1)
})

test('aduana retry has a failed job tried again, and says why one is not', async () => {
  const path = `/api/jobs/${JOB_ID}/retry`
  api.forget()
  api.answer(path, job({ status: 'QUEUED' }))
  const { code, out } = await api.aduana('retry', JOB_ID)
  expect([code, out]).toEqual([0, expect.stringContaining(`job ${JOB_ID}: is tried again`)])
  expect(api.asked()).toEqual([`POST ${path}`])
  const title = 'The job is not in a state that allows this'
  api.answer(path, { type: 'x', title, status: 409, detail: 'd', code: 'illegal_transition' }, 409)
  expect(await api.aduana('retry', JOB_ID)).toMatchObject({
    code: 1,
    err: expect.stringContaining('illegal_transition'),
  })
})
