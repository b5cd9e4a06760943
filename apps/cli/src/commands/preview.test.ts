import type { JobPreview } from '@aduana/contracts/load-preview'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { JOB_ID, job } from '../testing/jobs.ts'
import { openScriptedApi, type ScriptedApi } from '../testing/scripted-api.ts'

let api: ScriptedApi
beforeAll(async () => {
  api = await openScriptedApi()
})
afterAll(() => api.close())
beforeEach(() => api.forget())

const BASIS = 'a'.repeat(64)
const PREVIEW = `/api/jobs/${JOB_ID}/preview`
const APPROVE = `/api/jobs/${JOB_ID}/approve`

const preview: JobPreview = {
  jobId: JOB_ID,
  dryRun: false,
  basis: BASIS,
  needsApproval: [],
  createdAt: '2024-01-01T00:00:00.000Z',
  approvedBy: null,
  approvedAt: null,
  preview: {
    mode: 'append',
    matchedBy: [],
    totals: { inserted: 12, changed: 0, unchanged: 0, removed: 0 },
    alreadyPresent: 0,
    sameVersion: { rows: 0, example: null },
    rows: { before: 0, after: 12 },
    days: [],
    daysLeftOut: 0,
    sums: [],
    newMembers: [],
  },
}

test('aduana preview shows what the load of a job would change, as text or as JSON', async () => {
  api.answer(PREVIEW, preview)
  const shown = await api.aduana('preview', JOB_ID)
  expect(shown).toMatchObject({ code: 0, err: '' })
  expect(shown.out).toContain('12')
  expect(JSON.parse((await api.aduana('preview', JOB_ID, '--json')).out)).toEqual(preview)
})

test('aduana approve approves exactly the preview that it shows', async () => {
  api.answer(PREVIEW, preview)
  api.answer(APPROVE, job({ status: 'PROCESSING', stage: 'load' }))
  const approved = await api.aduana('approve', JOB_ID)
  expect(approved.code).toBe(0)
  expect(approved.out).toContain(`job ${JOB_ID}: approved`)
  expect(api.asked()).toEqual([`GET ${PREVIEW}`, `POST ${APPROVE} {"basis":"${BASIS}"}`])
})

test('aduana approve --basis approves that preview without reading the current one', async () => {
  api.answer(APPROVE, job({ status: 'PROCESSING', stage: 'load' }))
  const approved = await api.aduana('approve', JOB_ID, '--basis', 'b'.repeat(64), '--json')
  expect(JSON.parse(approved.out)).toMatchObject({ id: JOB_ID, status: 'PROCESSING' })
  expect(api.asked()).toEqual([`POST ${APPROVE} {"basis":"${'b'.repeat(64)}"}`])
})

test('aduana undo --no-wait returns when the undo is accepted', async () => {
  const path = `/api/jobs/${JOB_ID}/undo`
  const accepted = { id: '7a1c2f3e-8d52-4c7e-9a4f-2d8f1f6f0a12', status: 'QUEUED' }
  api.answer(path, accepted, 202)
  const undone = await api.aduana('undo', JOB_ID, '--unwind', '--no-wait')
  expect(undone.err).toBe('')
  expect(undone).toMatchObject({ code: 0, out: expect.stringContaining(`accepted as job ${accepted.id}`) })
  expect(api.asked()).toEqual([`POST ${path} {"unwind":true}`])
  const json = await api.aduana('undo', JOB_ID, '--no-wait', '--json')
  expect(JSON.parse(json.out)).toEqual({ outcome: 'accepted', exitCode: 0, job: { id: accepted.id } })
})
