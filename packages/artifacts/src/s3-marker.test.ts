import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ArtifactSettings, readSettings } from '@aduana/runtime/config'
import { createLogger } from '@aduana/runtime/logger'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { createTestS3, type TestS3, useTestCredentials } from '@aduana/testkit/s3'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { openArtifactStore } from './open-store.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })

let s3: TestS3
let ours: TestDatabase
let theirs: TestDatabase
let folder: string
let bucket: string
beforeAll(async () => {
  useTestCredentials()
  ;[s3, ours, theirs] = await Promise.all([createTestS3(), createTestDatabase(), createTestDatabase()])
})
afterAll(() => Promise.all([s3.stop(), ours.drop(), theirs.drop()]))
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aduana-claim-'))
  bucket = await s3.addBucket()
  for (const { pool } of [ours, theirs]) await pool.query('delete from artifact_stores')
})
afterEach(() => rm(folder, { recursive: true }))

/** Opens the store as a process of an installation does that starts. */
async function start({ db }: TestDatabase, environment: Record<string, string>): Promise<void> {
  const settings = readSettings(ArtifactSettings, { ADUANA_DATA_DIR: folder, ...environment })
  ;(await openArtifactStore(settings, { db, logger })).close()
}

const FOREIGN = { name: 'StoreError', code: 'foreign' }

test('a prefix that was claimed first stays the store of that database', async () => {
  await start(ours, s3.environment(bucket, 'a'))
  await start(ours, s3.environment(bucket, 'a'))
  expect(await s3.keys(bucket)).toEqual(['a/store-id'])
  const known = await ours.pool.query('select name from artifact_stores')
  expect(known.rows).toEqual([{ name: 's3' }])
})

test('processes that start concurrently agree on one marker', async () => {
  await Promise.all(Array.from({ length: 12 }, () => start(ours, s3.environment(bucket))))
  expect(await s3.keys(bucket)).toEqual(['store-id'])
})

test('two installations can share a bucket, but not a prefix', async () => {
  await start(ours, s3.environment(bucket, 'a'))
  await expect(start(theirs, s3.environment(bucket, 'a'))).rejects.toMatchObject({
    ...FOREIGN,
    message: expect.stringMatching(
      /s3:.*\/a is the artifact store of another database.*ADUANA_ARTIFACTS_URL/,
    ),
  })
  await start(theirs, s3.environment(bucket, 'b'))
  await start(ours, s3.environment(bucket, 'a'))
})

test('a process with another bucket is refused', async () => {
  await start(ours, s3.environment(bucket))
  await expect(start(ours, s3.environment(await s3.addBucket()))).rejects.toMatchObject(FOREIGN)
})

test('a process that stores files in a folder while others use a bucket is refused, and the other way round', async () => {
  await start(ours, s3.environment(bucket))
  await expect(start(ours, {})).rejects.toMatchObject({
    ...FOREIGN,
    message: expect.stringContaining('which uses a store of the kind "s3"'),
  })
  await start(theirs, {})
  await expect(start(theirs, s3.environment(await s3.addBucket()))).rejects.toMatchObject(FOREIGN)
})

test('a missing bucket stops the start, with advice', async () => {
  await expect(start(ours, s3.environment('there-is-no-such-bucket'))).rejects.toMatchObject({
    name: 'StoreError',
    code: 'refused',
    message: expect.stringMatching(/Reading store-id: .*Check its name.*NoSuchBucket/),
  })
  expect((await ours.pool.query('select from artifact_stores')).rowCount).toBe(0)
})
