import { createHash, randomBytes } from 'node:crypto'
import { useTestCredentials } from '@aduana/testkit/s3'
import type { S3Client } from '@aws-sdk/client-s3'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createS3Client, type S3Settings } from './s3-client.ts'
import { createS3Store } from './s3-store.ts'
import type { ArtifactStore } from './store.ts'
import {
  type AnsweringServer,
  begins,
  drops,
  fails,
  ok,
  startAnsweringServer,
  stores,
} from './testing/answering-server.ts'

const MIB = 1024 * 1024
const KEY = 'jobs/a/parse/1/x'

let server: AnsweringServer
let client: S3Client
let store: ArtifactStore
beforeAll(useTestCredentials)
beforeEach(async () => {
  server = await startAnsweringServer()
  use()
})
afterEach(() => {
  client.destroy()
  server.close()
})

function use(change: Partial<S3Settings> = {}): void {
  const { endpoint } = server
  const settings = { bucket: 'files', prefix: '', region: 'us-east-1', endpoint, pathStyle: true, ...change }
  client = createS3Client(settings)
  store = createS3Store(client, settings)
}

async function* bytes(content: Buffer): AsyncGenerator<Buffer> {
  for (let offset = 0; offset < content.length; offset += 100_000)
    yield content.subarray(offset, offset + 100_000)
}
const small = Buffer.from('rows')
const sha = (content: Buffer) => createHash('sha256').update(content).digest('hex')
const sum = (content: Buffer) => createHash('sha256').update(content).digest('base64')

describe('an upload', () => {
  test('is sent with the SHA-256 of its bytes', async () => {
    server.script = { PUT: [stores] }
    expect(await store.put(KEY, bytes(small))).toEqual({ bytes: 4, sha256: sha(small) })
    expect(server.asked[0]?.headers['x-amz-checksum-sha256']).toBe(sum(small))
    expect(server.asked[0]?.headers['x-amz-server-side-encryption']).toBeUndefined()
  })

  test.each([
    ['AES256', 'AES256', undefined],
    ['alias/files', 'aws:kms', 'alias/files'],
  ])('requests the encryption %s', async (encryption, algorithm, key) => {
    use({ encryption })
    server.script = {
      PUT: [stores],
      'POST uploads': [begins],
      'PUT uploadId partNumber': [stores],
      'POST uploadId': [ok({}, '<CompleteMultipartUploadResult/>')],
      HEAD: [ok({ 'content-length': 9 * MIB })],
    }
    await store.put(KEY, bytes(small))
    await store.put(KEY, bytes(randomBytes(9 * MIB)))
    for (const one of server.asked.filter(({ what }) => what === 'PUT' || what === 'POST uploads')) {
      expect(one.headers['x-amz-server-side-encryption']).toBe(algorithm)
      expect(one.headers['x-amz-server-side-encryption-aws-kms-key-id']).toBe(key)
    }
    expect(server.asked.find(({ what }) => what === 'POST uploads')).toBeDefined()
  })

  test('is retried when S3 throttles, fails, or disconnects', async () => {
    server.script = { PUT: [fails(503, 'SlowDown'), fails(500, 'InternalError'), drops, stores] }
    expect(await store.put(KEY, bytes(small))).toEqual({ bytes: 4, sha256: sha(small) })
    expect(server.count('PUT')).toBe(4)
    expect(
      server.asked.every(({ body, what }) => what !== 'PUT' || body.length === 0 || body.equals(small)),
    ).toBe(true)
  })

  test.each([
    [503, 'SlowDown', 'unavailable', 5],
    [400, 'BadDigest', 'unavailable', 1],
    [403, 'AccessDenied', 'refused', 1],
    [404, 'NoSuchBucket', 'refused', 1],
    [507, 'XMinioStorageFull', 'full', undefined],
  ])(
    'that fails with %i %s is reported as such',
    async (status, code, told, tries) => {
      server.script = { PUT: [fails(status, code)] }
      await expect(store.put(KEY, bytes(small))).rejects.toMatchObject({
        name: 'StoreError',
        code: told,
        message: expect.stringContaining(code),
      })
      if (tries !== undefined) expect(server.count('PUT')).toBe(tries)
    },
    60_000,
  )

  test('to an address without a server is reported as unavailable', async () => {
    use({ endpoint: 'http://127.0.0.1:1' })
    await expect(store.put(KEY, bytes(small))).rejects.toMatchObject({ code: 'unavailable' })
  }, 60_000)

  test('whose stored bytes differ is removed and reported', async () => {
    server.script = { PUT: [ok({ 'x-amz-checksum-sha256': sum(Buffer.from('ROWS')) })], DELETE: [ok()] }
    await expect(store.put(KEY, bytes(small))).rejects.toMatchObject({ code: 'unavailable' })
    expect(server.count('DELETE')).toBe(1)
    server.script = { PUT: [ok()], HEAD: [ok({ 'content-length': 3 })], DELETE: [ok()] }
    await expect(store.put(KEY, bytes(small))).rejects.toMatchObject({ code: 'unavailable' })
    expect(server.count('DELETE')).toBe(2)
  })
})

describe('an upload in parts', () => {
  const large = randomBytes(20 * MIB)
  const parts = [large.subarray(0, 8 * MIB), large.subarray(8 * MIB, 16 * MIB), large.subarray(16 * MIB)]
  const composite = `${sum(Buffer.concat(parts.map((part) => Buffer.from(sum(part), 'base64'))))}-3`
  const completed = (checksum: string) =>
    ok(
      {},
      `<CompleteMultipartUploadResult><ChecksumSHA256>${checksum}</ChecksumSHA256></CompleteMultipartUploadResult>`,
    )

  test('sends every part with its SHA-256 and compares that of the whole with the one from S3', async () => {
    server.script = {
      'POST uploads': [begins],
      'PUT uploadId partNumber': [stores],
      'POST uploadId': [completed(composite)],
    }
    expect(await store.put(KEY, bytes(large))).toEqual({ bytes: large.length, sha256: sha(large) })
    const sent = server.asked.filter(({ what }) => what === 'PUT uploadId partNumber')
    const sums = sent.map(({ url, headers }) => [
      url.searchParams.get('partNumber'),
      headers['x-amz-checksum-sha256'],
    ])
    expect(sums.sort()).toEqual(parts.map((part, index) => [String(index + 1), sum(part)]))
    expect(server.asked.find(({ what }) => what === 'POST uploadId')?.body.toString()).toContain(
      sum(large.subarray(16 * MIB)),
    )
    expect(server.count('HEAD')).toBe(0)
  })

  test('is removed when the stored object differs', async () => {
    server.script = {
      'POST uploads': [begins],
      'PUT uploadId partNumber': [stores],
      'POST uploadId': [completed(`${sum(small)}-3`)],
      DELETE: [ok()],
    }
    await expect(store.put(KEY, bytes(large))).rejects.toMatchObject({ code: 'unavailable' })
    expect(server.count('DELETE')).toBe(1)
  })

  test('is aborted when a part cannot be stored, with its error', async () => {
    server.script = {
      'POST uploads': [begins],
      'PUT uploadId partNumber': [stores, fails(403, 'AccessDenied')],
      'DELETE uploadId': [ok()],
    }
    await expect(store.put(KEY, bytes(large))).rejects.toMatchObject({ code: 'refused' })
    expect(server.count('DELETE uploadId')).toBe(1)
    expect(server.count('POST uploadId')).toBe(0)
  })

  test('reports the first error, also if it cannot be aborted', async () => {
    server.script = {
      'POST uploads': [begins],
      'PUT uploadId partNumber': [fails(403, 'AccessDenied')],
      'DELETE uploadId': [fails(403, 'AccessDenied')],
    }
    await expect(store.put(KEY, bytes(large))).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining(KEY),
    })
  })

  test('is complete when only the response to its completion was lost', async () => {
    let mark = ''
    server.script = {
      'POST uploads': [
        (one, response) => {
          mark = String(one.headers['x-amz-meta-upload'])
          begins(one, response)
        },
      ],
      'PUT uploadId partNumber': [stores],
      'POST uploadId': [drops, fails(404, 'NoSuchUpload')],
      HEAD: [
        (one, response) => ok({ 'content-length': large.length, 'x-amz-meta-upload': mark })(one, response),
      ],
    }
    expect(await store.put(KEY, bytes(large))).toEqual({ bytes: large.length, sha256: sha(large) })
    expect(server.count('POST uploadId')).toBe(2)
  })

  test('is not complete when its parts are missing and the key contains other bytes', async () => {
    server.script = {
      'POST uploads': [begins],
      'PUT uploadId partNumber': [stores],
      'POST uploadId': [fails(404, 'NoSuchUpload')],
      HEAD: [ok({ 'content-length': large.length, 'x-amz-meta-upload': 'of another run' })],
      'DELETE uploadId': [fails(404, 'NoSuchUpload')],
    }
    await expect(store.put(KEY, bytes(large))).rejects.toMatchObject({ code: 'unavailable' })
  })
})
