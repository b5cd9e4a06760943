import { randomBytes } from 'node:crypto'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { armFailPoint, disarmFailPoints } from '@aduana/runtime/fail-points'
import { createTestS3, type TestS3, useTestCredentials, watchUploads } from '@aduana/testkit/s3'
import type { S3Client } from '@aws-sdk/client-s3'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createS3Client, type S3Settings } from './s3-client.ts'
import { createS3Store } from './s3-store.ts'
import type { ArtifactStore } from './store.ts'
import { describeStore } from './testing/store-conformance.ts'

const MIB = 1024 * 1024

let s3: TestS3
beforeAll(async () => {
  useTestCredentials()
  s3 = await createTestS3()
})
afterAll(() => s3.stop())

const settingsOf = (bucket: string, prefix = ''): S3Settings => ({
  bucket,
  prefix,
  region: 'us-east-1',
  endpoint: s3.endpoint,
  pathStyle: true,
})

describeStore('an S3 store', async () => {
  const bucket = await s3.addBucket()
  const settings = settingsOf(bucket)
  const client = createS3Client(settings)
  const uploads = watchUploads(client)
  return {
    store: createS3Store(client, settings),
    contents: async () => [...(await s3.keys(bucket)), ...uploads()],
    close: async () => client.destroy(),
  }
})

describe('an S3 store', () => {
  let bucket: string
  let client: S3Client
  let store: ArtifactStore
  let uploads: () => string[]
  let folder: string
  beforeEach(async () => {
    bucket = await s3.addBucket()
    const settings = settingsOf(bucket, 'aduana/files')
    client = createS3Client(settings)
    uploads = watchUploads(client)
    store = createS3Store(client, settings)
    folder = await mkdtemp(join(tmpdir(), 'aduana-s3-'))
  })
  afterEach(async () => {
    disarmFailPoints()
    client.destroy()
    await rm(folder, { recursive: true })
  })

  async function* pieces(bytes: Buffer, size = 1_234_567): AsyncGenerator<Buffer> {
    for (let offset = 0; offset < bytes.length; offset += size) yield bytes.subarray(offset, offset + size)
  }

  test('keeps its keys below its prefix and lists them without it', async () => {
    await store.put('jobs/a/x', pieces(Buffer.from('content')))
    expect(await s3.keys(bucket)).toEqual(['aduana/files/jobs/a/x'])
    const found: string[] = []
    for await (const { key } of store.list('jobs')) found.push(key)
    expect(found).toEqual(['jobs/a/x'])
    await store.remove('jobs/a/x')
    expect(await s3.keys(bucket)).toEqual([])
  })

  test('lists more keys than one response contains', async () => {
    const all = Array.from({ length: 1100 }, (_, n) => `jobs/a/parse/1/${n}`)
    for (let n = 0; n < all.length; n += 50)
      await Promise.all(all.slice(n, n + 50).map((key) => store.put(key, pieces(Buffer.from('x')))))
    const found: string[] = []
    for await (const { key } of store.list('jobs')) found.push(key)
    expect(found.sort()).toEqual(all.sort())
  })

  test.each([8 * MIB, 8 * MIB + 1, 40 * MIB + 12_345])(
    'stores %i bytes in parts and reads them back',
    async (size) => {
      const content = randomBytes(size)
      const stored = await store.put('jobs/a/x', pieces(content))
      expect(stored.bytes).toBe(size)
      expect((await buffer(await store.open('jobs/a/x'))).equals(content)).toBe(true)
      await store.fetch('jobs/a/x', join(folder, 'copy'), stored)
      expect((await readFile(join(folder, 'copy'))).equals(content)).toBe(true)
      expect(uploads()).toEqual([])
    },
  )

  test('stores a large finished file and leaves the file as it is', async () => {
    const content = randomBytes(20 * MIB)
    await writeFile(join(folder, 'clean'), content)
    const stored = await store.putFile('jobs/a/x', join(folder, 'clean'))
    expect(stored.bytes).toBe(content.length)
    expect((await buffer(await store.open('jobs/a/x'))).equals(content)).toBe(true)
    expect((await readFile(join(folder, 'clean'))).equals(content)).toBe(true)
  })

  test('an upload in parts that fails, or grows too large, leaves no part and no key', async () => {
    const content = randomBytes(30 * MIB)
    const broken = async function* () {
      yield* pieces(content)
      throw new Error('the uploader went away')
    }
    await expect(store.put('jobs/a/x', broken())).rejects.toThrow('the uploader went away')
    const tooLarge = store.put('jobs/a/x', pieces(content), { maxBytes: content.length - 1 })
    await expect(tooLarge).rejects.toMatchObject({ code: 'too_large' })
    armFailPoint('artifact.before-rename', () => {
      throw new Error('died')
    })
    await expect(store.put('jobs/a/x', pieces(content))).rejects.toThrow('died')
    expect(await s3.keys(bucket)).toEqual([])
    expect(uploads()).toEqual([])
  })

  test('a reader that stops early leaves no connection, and the next one reads everything', async () => {
    const content = randomBytes(12 * MIB)
    await store.put('jobs/a/x', pieces(content))
    for await (const chunk of await store.open('jobs/a/x')) {
      expect(chunk.length).toBeGreaterThan(0)
      break
    }
    expect((await buffer(await store.open('jobs/a/x'))).equals(content)).toBe(true)
  })

  test('bytes that differ from the stored ones are not returned as a file', async () => {
    const stored = await store.put('jobs/a/x', pieces(Buffer.from('rows')))
    await store.put('jobs/a/x', pieces(Buffer.from('ROWS')))
    const fetching = store.fetch('jobs/a/x', join(folder, 'copy'), stored)
    await expect(fetching).rejects.toMatchObject({ name: 'StoreError', code: 'damaged' })
    await expect(open(join(folder, 'copy'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('a missing bucket is reported with advice', async () => {
    const elsewhere = createS3Store(client, settingsOf('there-is-no-such-bucket'))
    const refused = { name: 'StoreError', code: 'refused', message: expect.stringContaining('NoSuchBucket') }
    await expect(elsewhere.put('jobs/a/x', pieces(Buffer.from('x')))).rejects.toMatchObject(refused)
    await expect(elsewhere.open('jobs/a/x')).rejects.toMatchObject(refused)
    await expect(store.open('jobs/a/x')).rejects.toMatchObject({ code: 'missing' })
  })
})
