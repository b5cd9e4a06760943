import { ImportAccepted, Job, page } from '@aduana/contracts/jobs'
import { JobPreview, type StoredPreview } from '@aduana/contracts/load-preview'
import { Problem } from '@aduana/contracts/problems'
import { jsonb } from '@aduana/db/jsonb'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { importForm, productionFile } from '../testing/multipart.ts'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

const BASIS = 'ab'.repeat(32)
const NEWER = 'cd'.repeat(32)

let api: TestApi
let owner: TestUser
let steward: TestUser

beforeAll(async () => {
  api = await startApi()
  owner = await api.addUser('operator')
  steward = await api.addUser('steward')
})
afterAll(() => api.close())

async function accept(): Promise<string> {
  const response = await owner.ask('/api/imports', { method: 'POST', body: importForm(productionFile()) })
  return ImportAccepted.parse(await response.json()).id
}

const PREVIEW: StoredPreview['preview'] = {
  mode: 'replace-window',
  matchedBy: ['lote'],
  totals: { inserted: 1, changed: 0, unchanged: 0, removed: 0 },
  alreadyPresent: 0,
  sameVersion: { rows: 0, example: null },
  rows: { before: 0, after: 1 },
  days: [],
  daysLeftOut: 0,
  sums: [],
  newMembers: [],
}

/** A job that a load has left waiting for approval. */
async function waiting(code: 'requested' | 'too_many_rows'): Promise<string> {
  const id = await accept()
  const stored: StoredPreview = { preview: PREVIEW, needsApproval: [{ code, detail: 'it is large' }] }
  await api.db
    .updateTable('jobs')
    .set({ status: 'PROCESSING', waiting_for: 'approval', approval_asked_at: new Date(), attempt: 1 })
    .where('id', '=', id)
    .execute()
  await api.db
    .insertInto('load_previews')
    .values({ job_id: id, basis_sha256: BASIS, preview: jsonb(stored) })
    .execute()
  return id
}

function approve(user: TestUser, id: string, body?: unknown): Promise<Response> {
  const json =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  return user.ask(`/api/jobs/${id}/approve`, { method: 'POST', ...json })
}

async function problem(response: Response): Promise<[number, string]> {
  return [response.status, Problem.parse(await response.json()).code]
}

describe('the preview of a job', () => {
  test('is not found before it is computed', async () => {
    const id = await accept()
    expect(await problem(await owner.ask(`/api/jobs/${id}/preview`))).toEqual([404, 'not_found'])
    expect(await problem(await approve(owner, id))).toEqual([409, 'illegal_transition'])
    expect(await problem(await steward.ask(`/api/jobs/${id}/preview`))).toEqual([404, 'not_found'])
  })

  test('is shown to its owner and, if the job waits for approval, to a steward', async () => {
    const id = await waiting('too_many_rows')
    for (const user of [owner, steward]) {
      const shown = JobPreview.parse(await (await user.ask(`/api/jobs/${id}/preview`)).json())
      expect(shown).toMatchObject({
        jobId: id,
        basis: BASIS,
        preview: PREVIEW,
        approvedBy: null,
        dryRun: false,
      })
    }
    const stranger = await api.addUser('operator')
    expect(await problem(await stranger.ask(`/api/jobs/${id}/preview`))).toEqual([404, 'not_found'])
  })

  test('that waits for approval is listed for stewards', async () => {
    const id = await waiting('too_many_rows')
    const found = async (as: TestUser, what: string) => {
      const answer = await (await as.ask(`/api/jobs?waitingFor=${what}&limit=500`)).json()
      return page(Job).parse(answer).items
    }
    const all = await found(steward, 'approval')
    expect(all.map((job) => job.id)).toContain(id)
    expect(new Set(all.map(({ waitingFor }) => waitingFor))).toEqual(new Set(['approval']))
    expect(await found(steward, 'window')).toEqual([])
    expect(await found(await api.addUser('operator'), 'approval')).toEqual([])
    expect((await steward.ask('/api/jobs?waitingFor=rain')).status).toBe(400)
  })
})

describe('an approval', () => {
  test('that the dataset requires is given by stewards', async () => {
    const id = await waiting('too_many_rows')
    expect(await problem(await approve(owner, id))).toEqual([403, 'forbidden'])
    const viewer = await api.addUser('viewer')
    expect(await problem(await approve(viewer, id))).toEqual([403, 'forbidden'])
    const job = Job.parse(await (await approve(steward, id, { basis: BASIS })).json())
    expect(job).toMatchObject({ waitingFor: null, message: `Approved by ${steward.email}` })
    const shown = JobPreview.parse(await (await owner.ask(`/api/jobs/${id}/preview`)).json())
    expect(shown.approvedBy).toEqual({ id: steward.userId, email: steward.email })
    expect(await problem(await approve(steward, id))).toEqual([409, 'illegal_transition'])
  })

  test('that only the uploader requested can be given by the uploader', async () => {
    const id = await waiting('requested')
    expect((await approve(owner, id)).status).toBe(200)
  })

  test('of an outdated preview is refused, and nothing is approved', async () => {
    const id = await waiting('requested')
    const response = await approve(owner, id, { basis: NEWER })
    expect(response.status).toBe(409)
    expect(await response.json()).toMatchObject({ code: 'approval_lapsed', basis: BASIS })
    const row = await api.db
      .selectFrom('load_previews')
      .select('approved_at')
      .where('job_id', '=', id)
      .executeTakeFirstOrThrow()
    expect(row.approved_at).toBeNull()
    expect(await problem(await approve(owner, id, { basis: 'no hash' }))).toEqual([400, 'bad_request'])
  })
})

test('a dry run that requests an approval is refused', async () => {
  const form = importForm(productionFile())
  form.append('dryRun', 'true')
  form.append('requireApproval', 'true')
  expect(await problem(await owner.ask('/api/imports', { method: 'POST', body: form }))).toEqual([
    400,
    'bad_request',
  ])
})
