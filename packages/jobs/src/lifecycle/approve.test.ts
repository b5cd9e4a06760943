import type { Principal } from '@aduana/contracts/identity'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type JobsDatabase, openJobsDatabase } from '../testing/jobs.ts'
import { approveJob } from './approve.ts'

let database: JobsDatabase
let owner: Principal
let steward: Principal
beforeAll(async () => {
  database = await openJobsDatabase()
  owner = await database.addUser('operator')
  steward = await database.addUser('steward')
})
afterAll(() => database.drop())

const BASIS = 'a'.repeat(64)
const TOTALS = { inserted: 1, changed: 0, unchanged: 0, removed: 0 }
const PREVIEW = {
  ...{ mode: 'replace-window', matchedBy: null, totals: TOTALS, rows: { before: 0, after: 1 } },
  ...{ days: [], daysLeftOut: 0, sums: [], newMembers: [] },
}

/** Inserts a job of the owner that waits for approval for these reasons. */
async function waiting(codes: readonly string[]): Promise<string> {
  const id = await database.accept({}, { as: owner })
  await database.pool.query(
    `update jobs set status = 'PROCESSING', attempt = 1, admitted_at = now(), waiting_for = 'approval',
      approval_asked_at = now() where id = $1`,
    [id],
  )
  await database.pool.query('insert into load_previews (job_id, basis_sha256, preview) values ($1, $2, $3)', [
    id,
    BASIS,
    { preview: PREVIEW, needsApproval: codes.map((code) => ({ code, detail: code })) },
  ])
  return id
}
const approve = (id: string, as: Principal, basis?: string) =>
  approveJob(database.db, as, id, basis === undefined ? {} : { basis })

describe('an approval that only the uploader requested', () => {
  test('can be given by the uploader, once', async () => {
    const id = await waiting(['requested'])
    expect(await approve(id, owner, BASIS)).toMatchObject({ status: 'PROCESSING', waitingFor: null })
    expect(await database.job(id)).toMatchObject({ admitted_at: null })
    await expect(approve(id, owner)).rejects.toMatchObject({ code: 'illegal_transition' })
  })

  test('can be given by a steward', async () => {
    const id = await waiting(['requested'])
    expect(await approve(id, steward)).toMatchObject({
      waitingFor: null,
      message: `Approved by ${steward.email}`,
    })
  })
})

test.each([[['too_many_rows']], [['requested', 'too_many_rows']]])(
  'an approval that the dataset requires (%j) is given by a steward, not by the uploader',
  async (codes) => {
    const id = await waiting(codes)
    await expect(approve(id, owner)).rejects.toMatchObject({ code: 'forbidden' })
    expect(await database.job(id)).toMatchObject({ waiting_for: 'approval' })
    expect(await approve(id, steward)).toMatchObject({ waitingFor: null })
  },
)

test('a viewer cannot approve, and a user without access to a job gets not_found', async () => {
  const id = await waiting(['requested'])
  const viewer = await database.addUser('viewer')
  await database.pool.query('update jobs set user_id = $2 where id = $1', [id, viewer.userId])
  await expect(approve(id, viewer)).rejects.toMatchObject({ code: 'forbidden' })
  await expect(approve(id, await database.addUser('operator'))).rejects.toMatchObject({ code: 'not_found' })
})

test('an approval applies to the preview that was read, and to no other', async () => {
  const id = await waiting(['requested'])
  await expect(approve(id, steward, 'b'.repeat(64))).rejects.toMatchObject({
    code: 'approval_lapsed',
    extra: { basis: BASIS },
  })
  expect(await database.job(id)).toMatchObject({ waiting_for: 'approval' })
})

test.each([
  ['is to be cancelled', 'cancel_requested_at = now()'],
  ['waits for something else', `waiting_for = 'window'`],
])('a job that %s is not approved', async (_, change) => {
  const id = await waiting(['requested'])
  await database.pool.query(`update jobs set ${change} where id = $1`, [id])
  await expect(approve(id, steward)).rejects.toMatchObject({ code: 'illegal_transition' })
})
