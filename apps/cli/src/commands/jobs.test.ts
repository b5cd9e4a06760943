import { afterAll, beforeAll, expect, test } from 'vitest'
import { JOB_ID, job } from '../testing/jobs.ts'
import { openScriptedApi, type ScriptedApi } from '../testing/scripted-api.ts'

let api: ScriptedApi
beforeAll(async () => {
  api = await openScriptedApi()
})
afterAll(() => api.close())

test('aduana jobs filters by waiting, state and dataset', async () => {
  api.answer('/api/jobs', { items: [], next: null })
  const asked = ['--status', 'processing', '--waiting-for', 'approval', '--dataset', 'orders']
  expect(await api.aduana('jobs', ...asked)).toMatchObject({ code: 0, out: 'No jobs found.\n' })
  expect(api.asked()).toEqual(['GET /api/jobs?status=PROCESSING&waitingFor=approval&dataset=orders&limit=20'])
  expect((await api.aduana('jobs', '--waiting-for', 'rain')).code).toBe(1)
})

test('aduana jobs distinguishes undos from imports, and shows the main fact of each', async () => {
  const startAt = '2100-01-01T05:00:00Z'
  const warnings = [{ code: 'odd', message: 'It is odd.', column: null, count: 1 }]
  const items = [
    job({ type: 'undo', status: 'COMPLETED' }),
    job({ status: 'FAILED', error: { code: 'no_records', detail: 'None.' } }),
    job({ status: 'COMPLETED', warnings, dryRun: true }),
    job({ parameters: { startAt, fileName: 'x' } }),
    job({ status: 'PROCESSING', stage: 'load', waitingFor: 'window' }),
    job({ status: 'PROCESSING', stage: 'parse' }),
  ]
  api.answer('/api/jobs', { items, next: null })
  const { out } = await api.aduana('jobs', '--type', 'undo', '--undone')
  expect(api.asked().at(-1)).toBe('GET /api/jobs?type=undo&includeUndone=true&limit=20')
  for (const expected of [
    /undo +production +COMPLETED /,
    /import +production +FAILED \(no_records\)/,
    /COMPLETED \(dry run, 1 warning\)/,
    /QUEUED \(from 2100-01-01 05:00\)/,
    /PROCESSING \(waits for window\)/,
    /PROCESSING \(parse\)/,
  ])
    expect(out).toMatch(expected)
})

test('aduana retry retries a failed job, and reports why another is not retried', async () => {
  const path = `/api/jobs/${JOB_ID}/retry`
  api.forget()
  api.answer(path, job({ status: 'QUEUED' }))
  const { code, out } = await api.aduana('retry', JOB_ID)
  expect([code, out]).toEqual([0, expect.stringContaining(`job ${JOB_ID}: being retried`)])
  expect(api.asked()).toEqual([`POST ${path}`])
  const title = 'The status of the job does not allow this'
  api.answer(path, { type: 'x', title, status: 409, detail: 'd', code: 'illegal_transition' }, 409)
  expect(await api.aduana('retry', JOB_ID)).toMatchObject({
    code: 1,
    err: expect.stringContaining('illegal_transition'),
  })
})
