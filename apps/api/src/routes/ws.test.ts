import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { TicketResponse } from '@aduana/contracts/identity'
import { ImportAccepted } from '@aduana/contracts/jobs'
import { type ProgressUpdate, sequence } from '@aduana/contracts/progress'
import { inTransaction } from '@aduana/db/database'
import { changeJob, type JobChange } from '@aduana/jobs/lifecycle/transitions'
import { StoredProgress, storedProgress } from '@aduana/jobs/stage-attempts/stored-progress'
import { until } from '@aduana/testkit/until'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { importForm, productionFile } from '../testing/multipart.ts'
import { openSocket, refusedUpgrade } from '../testing/socket.ts'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

let api: TestApi
let owner: TestUser
let other: TestUser
let admin: TestUser
let ws: string

beforeAll(async () => {
  api = await startApi({ ADUANA_ORIGINS: 'https://friend.example' })
  owner = await api.addUser('operator')
  other = await api.addUser('operator')
  admin = await api.addUser('admin')
  ws = `${api.url.replace('http', 'ws')}/ws`
})
afterAll(() => api.close())

async function startJob(user: TestUser = owner): Promise<string> {
  const response = await user.ask('/api/imports', { method: 'POST', body: importForm(productionFile()) })
  return ImportAccepted.parse(await response.json()).id
}

/** Changes a job as a worker does. Returns the new version. */
async function change(jobId: string, fields: JobChange): Promise<number> {
  const version = await inTransaction(api.db, (tx) =>
    changeJob(tx, { jobId, from: ['QUEUED', 'PROCESSING'] }, fields),
  )
  if (version === undefined) throw new Error('the job did not change')
  return version
}

/** Stores progress of a job as a worker does. Returns what the worker publishes. */
async function storeProgress(jobId: string, percent: number): Promise<ProgressUpdate> {
  const stored = await sql<{ progress: unknown }>`
    update jobs set progress = ${percent}, progress_tick = progress_tick + 1 where id = ${jobId}
    returning ${storedProgress('jobs')} as progress`.execute(api.db)
  return StoredProgress.parse(stored.rows[0]?.progress)
}

function progress(jobId: string, user: TestUser, seq: number, percent: number): ProgressUpdate {
  return {
    jobId,
    userId: user.userId,
    seq,
    stage: 'parse',
    progress: percent,
    message: 'Reading',
    totalItems: null,
    processedItems: percent,
    rowsPerSecond: 1000,
    etaSeconds: 3,
  }
}

const claims = () => ({ sub: owner.userId, jti: randomUUID(), ver: 1 })

async function ticket(user: TestUser): Promise<string> {
  const response = await user.ask('/api/ws-ticket', { method: 'POST' })
  return TicketResponse.parse(await response.json()).ticket
}

describe('the upgrade', () => {
  test.each([
    ['nothing', () => ({})],
    ['a bad token', () => ({ authorization: 'Bearer nonsense' })],
    [
      'an expired token',
      () => ({
        authorization: `Bearer ${api.app.jwt.sign({ ...claims(), iat: 1_700_000_000 }, { expiresIn: 60 })}`,
      }),
    ],
    [
      'only the cookie, which browsers send from any page',
      () => ({ cookie: `aduana_session=${owner.token}` }),
    ],
  ])('is refused with %s', async (_what, headers) => {
    expect(await refusedUpgrade(ws, headers())).toBe(401)
  })

  test('is refused with a ticket that is unknown, altered, used or too old', async () => {
    expect(await refusedUpgrade(`${ws}?ticket=${'x'.repeat(43)}`)).toBe(401)
    const altered = (await ticket(owner)).replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))
    expect(await refusedUpgrade(`${ws}?ticket=${altered}`)).toBe(401)
    const good = await ticket(owner)
    const socket = new WebSocket(`${ws}?ticket=${good}`)
    await once(socket, 'open')
    expect(await refusedUpgrade(`${ws}?ticket=${good}`)).toBe(401)
    socket.close()
    const old = await ticket(owner)
    await api.db
      .updateTable('ws_tickets')
      .set({ expires_at: new Date(0) })
      .execute()
    expect(await refusedUpgrade(`${ws}?ticket=${old}`)).toBe(401)
  })

  test('is refused to pages of other sites, except listed origins', async () => {
    const authorization = `Bearer ${owner.token}`
    expect(await refusedUpgrade(ws, { authorization, origin: 'https://evil.example' })).toBe(403)
    const socket = new WebSocket(ws, { headers: { authorization, origin: 'https://friend.example' } })
    await once(socket, 'open')
    socket.close()
  })

  test('is refused beyond twenty sockets of one user', async () => {
    const user = await api.addUser('viewer')
    const sockets = await Promise.all(Array.from({ length: 20 }, () => openSocket(api, user)))
    expect(await refusedUpgrade(ws, { authorization: `Bearer ${user.token}` })).toBe(429)
    for (const { socket } of sockets) socket.close()
  })
})

test('of the sockets that one user opens concurrently at most twenty stay open', async () => {
  const user = await api.addUser('viewer')
  const headers = { authorization: `Bearer ${user.token}` }
  let [asked, settled] = [0, 0]
  const count = () => {
    asked += 1
  }
  api.app.server.on('upgrade', count)
  // None is let in before all have asked.
  const sockets = await inTransaction(api.db, async (tx) => {
    await sql`lock table users`.execute(tx)
    const opening = Array.from({ length: 40 }, () => new WebSocket(ws, { headers }))
    for (const socket of opening) {
      socket.on('error', () => socket.terminate())
      socket.once('close', () => {
        settled += 1
      })
    }
    await until(() => asked === 40, { what: 'all have asked' })
    return opening
  })
  api.app.server.off('upgrade', count)
  await until(() => settled === 20, { what: 'twenty are refused or closed' })
  const open = [...api.hub.subscribers()].filter(({ principal }) => principal.userId === user.userId)
  expect(open).toHaveLength(20)
  for (const socket of sockets) socket.terminate()
})

describe('a subscription', () => {
  test('sends the snapshot, then progress and states with increasing numbers', async () => {
    const id = await startJob()
    const client = await openSocket(api, owner)
    client.send({ type: 'subscribe', topic: 'job', id })
    expect(await client.receive('snapshot')).toMatchObject({ job: { id, status: 'QUEUED' } })
    const version = await change(id, { status: 'PROCESSING', started_at: new Date(), message: 'Working' })
    api.publish(progress(id, owner, sequence(version, 1), 10))
    api.publish(progress(id, owner, sequence(version, 2), 20))
    await client.receive('progress', (message) => message.progress === 20)
    const last = await change(id, { status: 'CANCELLED', completed_at: new Date(), message: 'Cancelled' })
    await client.receive('state', (message) => message.job.status === 'CANCELLED')
    const numbers = client.messages.flatMap((message) => ('seq' in message ? [message.seq] : []))
    expect(numbers).toEqual([...new Set(numbers)].sort((one, two) => one - two))
    expect(numbers.at(-1)).toBe(sequence(last, 0))
    const kinds = client.messages.map((message) => message.type)
    expect(kinds.indexOf('state'), 'the state comes before its progress').toBeLessThan(
      kinds.indexOf('progress'),
    )
    client.socket.close()
  })

  test('shows the true state although no message of Redis arrived', async () => {
    const id = await startJob()
    const client = await openSocket(api, owner)
    client.send({ type: 'subscribe', topic: 'job', id })
    await client.receive('snapshot')
    await change(id, { status: 'PROCESSING', started_at: new Date() })
    await client.receive('state', (message) => message.job.status === 'PROCESSING')
    client.socket.close()
  })

  test('ignores messages of an overtaken worker', async () => {
    const id = await startJob()
    const old = await change(id, { status: 'PROCESSING', started_at: new Date() })
    const version = await change(id, { message: 'Taken over' })
    const client = await openSocket(api, owner)
    client.send({ type: 'subscribe', topic: 'job', id })
    await client.receive('snapshot')
    api.publish(progress(id, owner, sequence(old, 900), 90))
    api.publish(progress(id, owner, sequence(version, 2), 20))
    api.publish(progress(id, owner, sequence(version, 1), 10))
    api.publish(progress(id, owner, sequence(version, 3), 30))
    await client.receive('progress', (message) => message.progress === 30)
    const seen = client.messages.flatMap((message) => (message.type === 'progress' ? [message.progress] : []))
    expect(seen).toEqual([20, 30])
    client.socket.close()
  })

  test('that is repeated sends at least the former state, with no lower number', async () => {
    const id = await startJob()
    await change(id, { status: 'PROCESSING', started_at: new Date() })
    const client = await openSocket(api, owner)
    client.send({ type: 'subscribe', topic: 'job', id })
    await client.receive('snapshot')
    const stored = await storeProgress(id, 58.4)
    api.publish(stored)
    const seen = await client.receive('progress', (message) => message.jobId === id)
    client.socket.close()
    const again = await openSocket(api, owner)
    again.send({ type: 'subscribe', topic: 'job', id, after: seen.seq })
    const snapshot = await again.receive('snapshot')
    expect(snapshot).toMatchObject({ seq: seen.seq, job: { id, progress: 58.4 } })
    // What was published before the snapshot was read comes late, and is not news.
    api.publish(stored)
    api.publish({ ...stored, seq: stored.seq - 1, progress: 40 })
    api.publish(await storeProgress(id, 60))
    await again.receive('progress', (message) => message.progress === 60)
    expect(
      again.messages.flatMap((message) => (message.type === 'progress' ? [message.progress] : [])),
    ).toEqual([60])
    again.socket.close()
  })

  test('to all jobs does not repeat what the list contains', async () => {
    const id = await startJob()
    await change(id, { status: 'PROCESSING', started_at: new Date() })
    const early = await storeProgress(id, 10)
    const late = await storeProgress(id, 30)
    const client = await openSocket(api, owner)
    client.send({ type: 'subscribe', topic: 'jobs' })
    await client.receive('snapshot')
    for (const update of [early, late, await storeProgress(id, 40)]) api.publish(update)
    await client.receive('progress', (message) => message.jobId === id && message.progress === 40)
    expect(
      client.messages.flatMap((message) =>
        message.type === 'progress' && message.jobId === id ? [message.progress] : [],
      ),
    ).toEqual([40])
    client.socket.close()
  })

  test('to a job of another user is refused, and its messages are not sent', async () => {
    const id = await startJob()
    const client = await openSocket(api, other)
    client.send({ type: 'subscribe', topic: 'job', id })
    expect(await client.receive('error')).toMatchObject({ code: 'not_found', id })
    client.send({ type: 'subscribe', topic: 'jobs' })
    await client.receive('snapshot')
    const version = await change(id, { status: 'PROCESSING', started_at: new Date() })
    api.publish(progress(id, owner, sequence(version, 1), 10))
    const own = await startJob(other)
    await client.receive('state', (message) => message.job.id === own)
    expect(JSON.stringify(client.messages.filter((message) => message.type !== 'error'))).not.toContain(id)
    client.socket.close()
  })

  test('to all jobs includes new ones, for an admin those of all users', async () => {
    const earlier = await startJob()
    const clients = [await openSocket(api, owner), await openSocket(api, admin)]
    for (const client of clients) {
      client.send({ type: 'subscribe', topic: 'jobs' })
      const snapshot = await client.receive('snapshot')
      expect(JSON.stringify(snapshot)).toContain(earlier)
    }
    const id = await startJob()
    const version = await change(id, { status: 'PROCESSING', started_at: new Date() })
    api.publish(progress(id, owner, sequence(version, 1), 40))
    for (const client of clients) {
      await client.receive('state', (message) => message.job.id === id && message.job.status === 'PROCESSING')
      await client.receive('progress', (message) => message.jobId === id)
      client.socket.close()
    }
  })

  test('ends when it is cancelled', async () => {
    const [first, second] = [await startJob(), await startJob()]
    const client = await openSocket(api, owner)
    client.send({ type: 'subscribe', topic: 'job', id: first })
    client.send({ type: 'subscribe', topic: 'job', id: second })
    client.send({ type: 'unsubscribe', topic: 'job', id: first })
    client.send({ type: 'ping' })
    await client.receive('pong')
    await change(first, { message: 'unseen' })
    await change(second, { message: 'seen' })
    await client.receive('state', (message) => message.job.message === 'seen')
    expect(JSON.stringify(client.messages)).not.toContain('unseen')
    client.socket.close()
  })

  test('is limited to two hundred jobs by name', async () => {
    const client = await openSocket(api, owner)
    const id = await startJob()
    client.send({ type: 'subscribe', topic: 'job', id })
    await client.receive('snapshot')
    const follower = [...api.hub.subscribers()].find((one) => one.jobs.has(id))
    for (let i = 0; i < 199; i++) follower?.subscribe(randomUUID(), -1)
    client.send({ type: 'subscribe', topic: 'job', id: await startJob() })
    expect(await client.receive('error')).toMatchObject({ code: 'too_many_subscriptions' })
    client.socket.close()
  })
})

describe('a client', () => {
  test('that sends an invalid message gets an error and can continue', async () => {
    const client = await openSocket(api, owner)
    client.send('{')
    client.send({ type: 'subscribe', topic: 'everything' })
    await until(() => client.messages.length === 2, { what: 'both are answered' })
    expect(client.messages.map((message) => message.type)).toEqual(['error', 'error'])
    client.send({ type: 'ping' })
    await client.receive('pong')
    client.socket.close()
  })

  test('that sends too large or too many messages is disconnected', async () => {
    const big = await openSocket(api, owner)
    big.socket.on('error', () => big.socket.terminate())
    big.send('x'.repeat(64 * 1024 + 1))
    expect(await big.closed).toBe(1009)
    const flood = await openSocket(api, owner)
    for (let i = 0; i < 700; i++) flood.send({ type: 'ping' })
    expect(await flood.closed).toBe(1008)
  })

  test('whose login expires is closed with 4401', async () => {
    const token = api.app.jwt.sign(claims(), { expiresIn: 2 })
    const client = await openSocket(api, { ...owner, token })
    expect(await client.closed).toBe(4401)
  })

  test('that does not read uses little memory, gets the newest progress when it reads again, and loses no state', async () => {
    const id = await startJob()
    const client = await openSocket(api, owner)
    client.send({ type: 'subscribe', topic: 'job', id })
    await client.receive('snapshot')
    const version = await change(id, { status: 'PROCESSING', started_at: new Date() })
    await client.receive('state')
    const follower = [...api.hub.subscribers()].find((one) => one.jobs.has(id))
    if (!follower) throw new Error('nobody follows the job')
    client.socket.pause()
    const many = 60_000
    for (let tick = 1; tick <= many; tick++) {
      const update = { ...progress(id, owner, sequence(version, tick), 50), message: 'x'.repeat(100) }
      api.publish({ ...update, processedItems: tick })
      if (tick % 1000 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await until(() => follower.socket.bufferedAmount > 200 * 1024, { what: 'its buffer is full' })
    await until(() => (follower.jobs.get(id)?.held?.seq ?? 0) === sequence(version, many), {
      what: 'all were published',
    })
    expect(follower.socket.bufferedAmount).toBeLessThan(300 * 1024)
    await change(id, { status: 'CANCELLED', completed_at: new Date() })
    client.socket.resume()
    await client.receive('state', (message) => message.job.status === 'CANCELLED')
    expect(client.messages.length).toBeLessThan(many)
    client.socket.close()
  })
})
