import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { useTestCredentials } from '@aduana/testkit/s3'
import type { S3Client } from '@aws-sdk/client-s3'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createS3Client, type S3Settings } from './s3-client.ts'
import { createS3Store } from './s3-store.ts'
import type { ArtifactStore } from './store.ts'

const MIB = 1024 * 1024
const KEY = 'jobs/a/parse/1/x'

/** What the server is asked: the method and what is asked for, without the rest of the address. */
interface Asked {
  what: string
  url: URL
  headers: IncomingMessage['headers']
  body: Buffer
}
type Answer = (asked: Asked, response: ServerResponse) => void

/** Answers in the order of the requests of each kind; the last one repeats. */
type Script = Partial<Record<string, Answer[]>>

let server: Server
let client: S3Client
let store: ArtifactStore
let script: Script
let asked: Asked[]
let folder: string

beforeAll(useTestCredentials)
beforeEach(async () => {
  asked = []
  script = {}
  server = createServer((request, response) => void answer(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  use({ endpoint: `http://127.0.0.1:${address.port}` })
  folder = await mkdtemp(join(tmpdir(), 'aduana-s3-'))
})
afterEach(async () => {
  client.destroy()
  server.closeAllConnections()
  server.close()
  await rm(folder, { recursive: true })
})

function use(change: Partial<S3Settings>): void {
  const settings = { bucket: 'files', prefix: '', region: 'us-east-1', pathStyle: true, ...change }
  client = createS3Client(settings)
  store = createS3Store(client, settings)
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '', 'http://localhost')
  const action = ['uploads', 'uploadId', 'partNumber'].filter((name) => url.searchParams.has(name))
  const what = [request.method, ...action].join(' ')
  const one = {
    what,
    url,
    headers: request.headers,
    body: await buffer(request).catch(() => Buffer.alloc(0)),
  }
  const before = asked.filter((other) => other.what === what).length
  asked.push(one)
  const answers = script[what] ?? []
  const chosen = answers[before] ?? answers.at(-1)
  if (chosen) chosen(one, response)
  else response.writeHead(501).end()
}

const count = (what: string) => asked.filter((one) => one.what === what).length
const ok =
  (headers: Record<string, string | number> = {}, body: string | Buffer = ''): Answer =>
  (_asked, response) =>
    void response.writeHead(200, headers).end(body)
const fails =
  (status: number, code: string): Answer =>
  (_asked, response) =>
    void response
      .writeHead(status, { 'content-type': 'application/xml' })
      .end(`<Error><Code>${code}</Code><Message>as the test wants it</Message></Error>`)
const drops: Answer = (_asked, response) => void response.socket?.destroy()
const stores: Answer = ({ headers }, response) =>
  void response
    .writeHead(200, { etag: '"x"', 'x-amz-checksum-sha256': String(headers['x-amz-checksum-sha256']) })
    .end()
const begins = ok(
  {},
  '<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>',
)

async function* bytes(content: Buffer): AsyncGenerator<Buffer> {
  for (let offset = 0; offset < content.length; offset += 100_000)
    yield content.subarray(offset, offset + 100_000)
}
const small = Buffer.from('rows')
const sha = (content: Buffer) => createHash('sha256').update(content).digest('hex')
const sum = (content: Buffer) => createHash('sha256').update(content).digest('base64')

describe('an upload', () => {
  test('goes with the SHA-256 of its bytes', async () => {
    script = { PUT: [stores] }
    expect(await store.put(KEY, bytes(small))).toEqual({ bytes: 4, sha256: sha(small) })
    expect(asked[0]?.headers['x-amz-checksum-sha256']).toBe(sum(small))
    expect(asked[0]?.headers['x-amz-server-side-encryption']).toBeUndefined()
  })

  test.each([
    ['AES256', 'AES256', undefined],
    ['alias/files', 'aws:kms', 'alias/files'],
  ])('asks for the encryption %s', async (encryption, algorithm, key) => {
    const { port } = Object(server.address())
    client.destroy()
    use({ endpoint: `http://127.0.0.1:${port}`, encryption })
    script = {
      PUT: [stores],
      'POST uploads': [begins],
      'PUT uploadId partNumber': [stores],
      'POST uploadId': [ok({}, '<CompleteMultipartUploadResult/>')],
      HEAD: [ok({ 'content-length': 9 * MIB })],
    }
    await store.put(KEY, bytes(small))
    await store.put(KEY, bytes(randomBytes(9 * MIB)))
    for (const one of asked.filter(({ what }) => what === 'PUT' || what === 'POST uploads')) {
      expect(one.headers['x-amz-server-side-encryption']).toBe(algorithm)
      expect(one.headers['x-amz-server-side-encryption-aws-kms-key-id']).toBe(key)
    }
    expect(asked.find(({ what }) => what === 'POST uploads')).toBeDefined()
  })

  test('is tried again when S3 asks to slow down, fails inside, or hangs up', async () => {
    script = { PUT: [fails(503, 'SlowDown'), fails(500, 'InternalError'), drops, stores] }
    expect(await store.put(KEY, bytes(small))).toEqual({ bytes: 4, sha256: sha(small) })
    expect(count('PUT')).toBe(4)
    expect(asked.every(({ body, what }) => what !== 'PUT' || body.length === 0 || body.equals(small))).toBe(
      true,
    )
  })

  test.each([
    [503, 'SlowDown', 'unavailable', 5],
    [400, 'BadDigest', 'unavailable', 1],
    [403, 'AccessDenied', 'refused', 1],
    [404, 'NoSuchBucket', 'refused', 1],
    [507, 'XMinioStorageFull', 'full', undefined],
  ])(
    'that S3 answers with %i %s is told as such',
    async (status, code, told, tries) => {
      script = { PUT: [fails(status, code)] }
      await expect(store.put(KEY, bytes(small))).rejects.toMatchObject({
        name: 'StoreError',
        code: told,
        message: expect.stringContaining(code),
      })
      if (tries !== undefined) expect(count('PUT')).toBe(tries)
    },
    60_000,
  )

  test('to a place where nobody listens is told as unavailable', async () => {
    client.destroy()
    use({ endpoint: 'http://127.0.0.1:1' })
    await expect(store.put(KEY, bytes(small))).rejects.toMatchObject({ code: 'unavailable' })
  }, 60_000)

  test('of which S3 has kept something else is removed and told', async () => {
    script = { PUT: [ok({ 'x-amz-checksum-sha256': sum(Buffer.from('ROWS')) })], DELETE: [ok()] }
    await expect(store.put(KEY, bytes(small))).rejects.toMatchObject({ code: 'unavailable' })
    expect(count('DELETE')).toBe(1)
    script = { PUT: [ok()], HEAD: [ok({ 'content-length': 3 })], DELETE: [ok()] }
    await expect(store.put(KEY, bytes(small))).rejects.toMatchObject({ code: 'unavailable' })
    expect(count('DELETE')).toBe(2)
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

  test('sends every part with its SHA-256 and holds that of the whole against what S3 says', async () => {
    script = {
      'POST uploads': [begins],
      'PUT uploadId partNumber': [stores],
      'POST uploadId': [completed(composite)],
    }
    expect(await store.put(KEY, bytes(large))).toEqual({ bytes: large.length, sha256: sha(large) })
    const sent = asked.filter(({ what }) => what === 'PUT uploadId partNumber')
    const sums = sent.map(({ url, headers }) => [
      url.searchParams.get('partNumber'),
      headers['x-amz-checksum-sha256'],
    ])
    expect(sums.sort()).toEqual(parts.map((part, index) => [String(index + 1), sum(part)]))
    expect(asked.find(({ what }) => what === 'POST uploadId')?.body.toString()).toContain(
      sum(large.subarray(16 * MIB)),
    )
    expect(count('HEAD')).toBe(0)
  })

  test('is removed when S3 has put something else together', async () => {
    script = {
      'POST uploads': [begins],
      'PUT uploadId partNumber': [stores],
      'POST uploadId': [completed(`${sum(small)}-3`)],
      DELETE: [ok()],
    }
    await expect(store.put(KEY, bytes(large))).rejects.toMatchObject({ code: 'unavailable' })
    expect(count('DELETE')).toBe(1)
  })

  test('is given up when a part cannot be stored, and the error is told', async () => {
    script = {
      'POST uploads': [begins],
      'PUT uploadId partNumber': [stores, fails(403, 'AccessDenied')],
      'DELETE uploadId': [ok()],
    }
    await expect(store.put(KEY, bytes(large))).rejects.toMatchObject({ code: 'refused' })
    expect(count('DELETE uploadId')).toBe(1)
    expect(count('POST uploadId')).toBe(0)
  })

  test('tells the first error, also when it cannot be given up', async () => {
    script = {
      'POST uploads': [begins],
      'PUT uploadId partNumber': [fails(403, 'AccessDenied')],
      'DELETE uploadId': [fails(403, 'AccessDenied')],
    }
    await expect(store.put(KEY, bytes(large))).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining(KEY),
    })
  })

  test('is complete when only the answer to its completion was lost', async () => {
    let mark = ''
    script = {
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
    expect(count('POST uploadId')).toBe(2)
  })

  test('is not complete when its parts are gone and the key holds something else', async () => {
    script = {
      'POST uploads': [begins],
      'PUT uploadId partNumber': [stores],
      'POST uploadId': [fails(404, 'NoSuchUpload')],
      HEAD: [ok({ 'content-length': large.length, 'x-amz-meta-upload': 'of another run' })],
      'DELETE uploadId': [fails(404, 'NoSuchUpload')],
    }
    await expect(store.put(KEY, bytes(large))).rejects.toMatchObject({ code: 'unavailable' })
  })
})

describe('reading', () => {
  const content = randomBytes(3 * MIB)
  /** Hang up after some bytes; answer a range from where it begins. */
  const breaksAfter =
    (amount: number): Answer =>
    ({ headers }, response) => {
      const from = Number(/bytes=(\d+)-/.exec(headers.range ?? '')?.[1] ?? 0)
      const rest = content.subarray(from)
      response.writeHead(headers.range ? 206 : 200, { 'content-length': rest.length, etag: '"x"' })
      if (rest.length <= amount) response.end(rest)
      else response.write(rest.subarray(0, amount), () => response.socket?.destroy())
    }

  test('goes on at the same byte of the same object after the connection broke', async () => {
    script = { GET: [breaksAfter(1 * MIB)] }
    await store.fetch(KEY, join(folder, 'x'), { bytes: content.length, sha256: sha(content) })
    expect((await readFile(join(folder, 'x'))).equals(content)).toBe(true)
    const again = asked.slice(1)
    expect(again.length).toBeGreaterThanOrEqual(2)
    for (const { headers } of again) {
      expect(headers.range).toMatch(/^bytes=[1-9]\d*-$/)
      expect(headers['if-match']).toBe('"x"')
    }
  })

  test('that never gets further is given up, and leaves no file', async () => {
    script = { GET: [breaksAfter(1 * MIB), breaksAfter(0)] }
    await expect(store.fetch(KEY, join(folder, 'x'))).rejects.toMatchObject({ code: 'unavailable' })
    expect(await readdir(folder)).toEqual([])
  }, 60_000)

  test('an object that was replaced meanwhile is given up', async () => {
    script = { GET: [breaksAfter(1 * MIB), fails(412, 'PreconditionFailed')] }
    await expect(store.fetch(KEY, join(folder, 'x'))).rejects.toMatchObject({ code: 'unavailable' })
    expect(await readdir(folder)).toEqual([])
  })

  test('bytes that were damaged on the way are read once more', async () => {
    const damaged = Buffer.from(content)
    damaged[1000] = (damaged[1000] ?? 0) ^ 1
    script = { GET: [ok({ etag: '"x"' }, damaged), ok({ etag: '"x"' }, content)] }
    await store.fetch(KEY, join(folder, 'x'), { bytes: content.length, sha256: sha(content) })
    expect((await readFile(join(folder, 'x'))).equals(content)).toBe(true)
    script = { GET: [ok({ etag: '"x"' }, damaged)] }
    await expect(
      store.fetch(KEY, join(folder, 'y'), { bytes: content.length, sha256: sha(content) }),
    ).rejects.toMatchObject({ code: 'damaged' })
    expect(await readdir(folder)).toEqual(['x'])
  })

  test('a key that may not be read is refused, one that is not there is missing', async () => {
    script = { GET: [fails(403, 'AccessDenied'), fails(404, 'NoSuchKey')] }
    await expect(store.open(KEY)).rejects.toMatchObject({ code: 'refused' })
    await expect(store.open(KEY)).rejects.toMatchObject({ code: 'missing' })
  })
})
