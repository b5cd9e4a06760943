import { ImportAccepted } from '@aduana/contracts/jobs'
import { inTransaction } from '@aduana/db/database'
import { changeJob, type JobChange } from '@aduana/jobs/lifecycle/transitions'
import { until } from '@aduana/testkit/until'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { importForm, productionFile } from '../testing/multipart.ts'
import { openSocket } from '../testing/socket.ts'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

let api: TestApi
let owner: TestUser
beforeAll(async () => {
  api = await startApi()
  owner = await api.addUser('operator')
})
afterAll(() => api.close())

/** Opens a socket as a user. */
async function open(user: TestUser) {
  const { messages, send } = await openSocket(api, user)
  return {
    messages,
    follow: async (id: string) => {
      send({ type: 'subscribe', topic: 'job', id })
      await until(
        () => messages.some((one) => one.type === 'snapshot' && one.topic === 'job' && one.job.id === id),
        { what: 'the snapshot comes' },
      )
    },
    /** Waits for the state of a job with this message. */
    sees: (id: string, message: string) =>
      until(
        () =>
          messages.some((one) => one.type === 'state' && one.job.id === id && one.job.message === message),
        { what: `the state "${message}" comes` },
      ),
    /** Waits until the client receives that the job is not found. */
    losesSight: (id: string) =>
      until(() => messages.some((one) => one.type === 'error' && one.code === 'not_found' && one.id === id), {
        what: 'the job is hidden',
      }),
    told: (id: string) => messages.filter((one) => JSON.stringify(one).includes(id)).length,
  }
}

async function startJob(): Promise<string> {
  const response = await owner.ask('/api/imports', { method: 'POST', body: importForm(productionFile()) })
  return ImportAccepted.parse(await response.json()).id
}

const change = (jobId: string, fields: JobChange) =>
  inTransaction(api.db, (tx) => changeJob(tx, { jobId, from: ['QUEUED', 'PROCESSING'] }, fields))

const setUser = (user: TestUser, fields: { role?: string; companies?: string[] }) =>
  api.db.updateTable('users').set(fields).where('id', '=', user.userId).execute()

test('a user who loses a company no longer sees its jobs', async () => {
  const steward = await api.addUser('steward')
  await setUser(steward, { companies: ['ACME'] })
  const id = await startJob()
  await api.db
    .updateTable('jobs')
    .set({ companies: ['ACME'], approval_asked_at: new Date() })
    .where('id', '=', id)
    .execute()
  const [hidden, shown] = [await open(steward), await open(owner)]
  await hidden.follow(id)
  await shown.follow(id)
  await change(id, { message: 'Seen by both' })
  await Promise.all([hidden.sees(id, 'Seen by both'), shown.sees(id, 'Seen by both')])
  await setUser(steward, { companies: ['OTHER'] })
  await hidden.losesSight(id)
  const told = hidden.told(id)
  await change(id, { message: 'Secret' })
  await shown.sees(id, 'Secret')
  expect(hidden.told(id)).toBe(told)
  expect(JSON.stringify(hidden.messages)).not.toContain('Secret')
})

test('a subscriber who may no longer see a job does not delay messages to others', async () => {
  const former = await api.addUser('admin')
  const ids = [await startJob(), await startJob()]
  const first = ids[0] ?? ''
  const [demoted, others] = [await open(former), await open(owner)]
  for (const id of ids) {
    await demoted.follow(id)
    await others.follow(id)
  }
  await setUser(former, { role: 'viewer' })
  for (const round of [1, 2, 3]) {
    for (const id of ids) await change(id, { message: `Round ${round}` })
    for (const id of ids) await others.sees(id, `Round ${round}`)
  }
  for (const id of ids) await demoted.losesSight(id)
  expect(demoted.told(first)).toBeGreaterThan(0)
})

test('an error of one read does not affect the others, and is retried', async () => {
  const [broken, whole] = [await startJob(), await startJob()]
  const client = await open(owner)
  await client.follow(broken)
  await client.follow(whole)
  // A row that no program writes, and that none can read.
  await api.db.updateTable('jobs').set({ parameters: '"text"' }).where('id', '=', broken).execute()
  await change(broken, { message: 'Unreadable' })
  await change(whole, { message: 'Readable' })
  await client.sees(whole, 'Readable')
  await api.db.updateTable('jobs').set({ parameters: '{}' }).where('id', '=', broken).execute()
  await client.sees(broken, 'Unreadable')
})
