import type { Principal } from '@aduana/contracts/identity'
import { inTransaction } from '@aduana/db/database'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { type JobsDatabase, openJobsDatabase } from '../testing/jobs.ts'
import { createIdempotently, isKeyUsed, pruneIdempotencyKeys, requestDigest } from './idempotency.ts'

const Made = z.object({ number: z.int() })
const DIGEST = requestDigest('POST', '/things', { a: 1 })

let database: JobsDatabase
let user: Principal
let made: number
beforeAll(async () => {
  database = await openJobsDatabase()
})
afterAll(() => database.drop())
beforeEach(async () => {
  user = await database.addUser()
  made = 0
})

const ask = (key: string, requestSha256 = DIGEST, userId = user.userId) =>
  inTransaction(database.db, (tx) =>
    createIdempotently(tx, { userId, key, requestSha256 }, Made, async () => {
      made += 1
      return { status: 201, body: { number: made } }
    }),
  )

test('a repeated request gets the first response and creates nothing', async () => {
  expect(await ask('k')).toEqual({ status: 201, body: { number: 1 }, replayed: false })
  expect(await ask('k')).toEqual({ status: 201, body: { number: 1 }, replayed: true })
  expect(made).toBe(1)
})

test('fifty concurrent requests create one', async () => {
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask('k')))
  expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1)
  expect(new Set(answers.map(({ body }) => body.number))).toEqual(new Set([1]))
})

test('a different request with the key is refused', async () => {
  await ask('k')
  await expect(ask('k', requestDigest('POST', '/things', { a: 2 }))).rejects.toMatchObject({
    code: 'idempotency_key_reused',
  })
})

test('users do not share keys', async () => {
  await ask('k')
  const other = await database.addUser()
  expect(await ask('k', DIGEST, other.userId)).toMatchObject({ replayed: false, body: { number: 2 } })
})

test('a refused request stores nothing, and its key can be used again', async () => {
  const refused = inTransaction(database.db, (tx) =>
    createIdempotently(tx, { userId: user.userId, key: 'k', requestSha256: DIGEST }, Made, () => {
      throw new Error('no room')
    }),
  )
  await expect(refused).rejects.toThrow('no room')
  expect(await isKeyUsed(database.db, { userId: user.userId, key: 'k' })).toBe(false)
  expect(await ask('k')).toMatchObject({ replayed: false })
})

test('a request that waits while the first one fails creates in its place', async () => {
  let fail: () => void = () => undefined
  const failing = new Promise<void>((resolve) => {
    fail = resolve
  })
  let begun: () => void = () => undefined
  const hasBegun = new Promise<void>((resolve) => {
    begun = resolve
  })
  const first = inTransaction(database.db, (tx) =>
    createIdempotently(tx, { userId: user.userId, key: 'k', requestSha256: DIGEST }, Made, async () => {
      begun()
      await failing
      throw new Error('died')
    }),
  )
  await hasBegun
  const second = ask('k')
  fail()
  await expect(first).rejects.toThrow('died')
  expect(await second).toMatchObject({ replayed: false, body: { number: 1 } })
})

test('without a key each request creates', async () => {
  const create = () =>
    inTransaction(database.db, (tx) =>
      createIdempotently(tx, undefined, Made, async () => ({ status: 201, body: { number: 7 } })),
    )
  expect(await create()).toEqual({ status: 201, body: { number: 7 }, replayed: false })
})

test('keys are removed after a week', async () => {
  await ask('old')
  await ask('new')
  await database.pool.query(
    `update idempotency_keys set created_at = now() - interval '8 days' where key = 'old'`,
  )
  expect(await pruneIdempotencyKeys(database.db)).toBe(1)
  const known = (key: string) => isKeyUsed(database.db, { userId: user.userId, key })
  expect([await known('old'), await known('new')]).toEqual([false, true])
})

test('the digest depends on method, path and values, but not on the order of fields or on absent ones', () => {
  const digests = [
    requestDigest('POST', '/a', { x: 1, y: 2 }),
    requestDigest('POST', '/a', { y: 2, x: 1, z: undefined }),
    requestDigest('PUT', '/a', { x: 1, y: 2 }),
    requestDigest('POST', '/b', { x: 1, y: 2 }),
    requestDigest('POST', '/a', { x: 1, y: '2' }),
  ]
  expect(digests[0]).toBe(digests[1])
  expect(new Set(digests).size).toBe(4)
})
