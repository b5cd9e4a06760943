import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { useTestCredentials } from '@aduana/testkit/s3'
import { until } from '@aduana/testkit/until'
import type { S3Client } from '@aws-sdk/client-s3'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createS3Client } from './s3-client.ts'
import { createS3Store } from './s3-store.ts'
import type { ArtifactStore } from './store.ts'
import {
  type Answer,
  type AnsweringServer,
  fails,
  ok,
  startAnsweringServer,
} from './testing/answering-server.ts'

const MIB = 1024 * 1024
const KEY = 'jobs/a/parse/1/x'
/** More than the client opens at once. */
const MAX_CONNECTIONS = 70

let server: AnsweringServer
let client: S3Client
let store: ArtifactStore
let folder: string
beforeAll(useTestCredentials)
beforeEach(async () => {
  server = await startAnsweringServer()
  const settings = {
    bucket: 'files',
    prefix: '',
    region: 'us-east-1',
    endpoint: server.endpoint,
    pathStyle: true,
  }
  client = createS3Client(settings)
  store = createS3Store(client, settings)
  folder = await mkdtemp(join(tmpdir(), 'aduana-s3-'))
})
afterEach(async () => {
  client.destroy()
  server.close()
  await rm(folder, { recursive: true })
})

const sha = (content: Buffer) => createHash('sha256').update(content).digest('hex')

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

  test('continues at the same byte of the same object after a broken connection', async () => {
    server.script = { GET: [breaksAfter(1 * MIB)] }
    await store.fetch(KEY, join(folder, 'x'), { bytes: content.length, sha256: sha(content) })
    expect((await readFile(join(folder, 'x'))).equals(content)).toBe(true)
    const again = server.asked.slice(1)
    expect(again.length).toBeGreaterThanOrEqual(2)
    for (const { headers } of again) {
      expect(headers.range).toMatch(/^bytes=[1-9]\d*-$/)
      expect(headers['if-match']).toBe('"x"')
    }
  })

  test('that makes no progress is given up, and leaves no file', async () => {
    server.script = { GET: [breaksAfter(1 * MIB), breaksAfter(0)] }
    await expect(store.fetch(KEY, join(folder, 'x'))).rejects.toMatchObject({ code: 'unavailable' })
    expect(await readdir(folder)).toEqual([])
  }, 60_000)

  test('of an object that was replaced meanwhile is given up', async () => {
    server.script = { GET: [breaksAfter(1 * MIB), fails(412, 'PreconditionFailed')] }
    await expect(store.fetch(KEY, join(folder, 'x'))).rejects.toMatchObject({ code: 'unavailable' })
    expect(await readdir(folder)).toEqual([])
  })

  test('of damaged bytes is repeated', async () => {
    const damaged = Buffer.from(content)
    damaged[1000] = (damaged[1000] ?? 0) ^ 1
    server.script = { GET: [ok({ etag: '"x"' }, damaged), ok({ etag: '"x"' }, content)] }
    await store.fetch(KEY, join(folder, 'x'), { bytes: content.length, sha256: sha(content) })
    expect((await readFile(join(folder, 'x'))).equals(content)).toBe(true)
    server.script = { GET: [ok({ etag: '"x"' }, damaged)] }
    await expect(
      store.fetch(KEY, join(folder, 'y'), { bytes: content.length, sha256: sha(content) }),
    ).rejects.toMatchObject({ code: 'damaged' })
    expect(await readdir(folder)).toEqual(['x'])
  })

  test('of a key without permission is refused, and a missing key is reported as missing', async () => {
    server.script = { GET: [fails(403, 'AccessDenied'), fails(404, 'NoSuchKey')] }
    await expect(store.open(KEY)).rejects.toMatchObject({ code: 'refused' })
    await expect(store.open(KEY)).rejects.toMatchObject({ code: 'missing' })
  })
})

// Sooner than the client gives up a connection on which nothing moves.
describe('a stream that is abandoned', { timeout: 20_000 }, () => {
  /** Sends the beginning of an object and then nothing; resolves when the connection is closed. */
  function stalls(first: Buffer): { answer: Answer; closed: Promise<void> } {
    let close: () => void
    const closed = new Promise<void>((resolve) => {
      close = resolve
    })
    const answer: Answer = (_asked, response) => {
      response.once('close', close)
      response.writeHead(200, { 'content-length': 1 * MIB, etag: '"x"' })
      response.flushHeaders()
      if (first.length > 0) response.write(first)
    }
    return { answer, closed }
  }

  test('before anything was read closes its connection', async () => {
    const { answer, closed } = stalls(Buffer.alloc(1000))
    server.script = { GET: [answer] }
    const stream = await store.open(KEY)
    stream.destroy()
    await closed
  })

  test('while no byte arrives closes its connection', async () => {
    const { answer, closed } = stalls(Buffer.alloc(1000))
    server.script = { GET: [answer] }
    const stream = await store.open(KEY)
    const leave = new AbortController()
    const reading = pipeline(stream, createWriteStream(join(folder, 'x')), { signal: leave.signal })
    await until(async () => (await stat(join(folder, 'x')).catch(() => undefined))?.size === 1000, {
      what: 'the first bytes are there',
    })
    leave.abort()
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' })
    await closed
  })

  test('by an error of its reader closes its connection', async () => {
    const { answer, closed } = stalls(Buffer.alloc(1000))
    server.script = { GET: [answer] }
    const reading = async () => {
      for await (const _ of await store.open(KEY)) throw new Error('no room')
    }
    await expect(reading()).rejects.toThrow('no room')
    await closed
  })

  const hangsUpAfter =
    (bytes: number): Answer =>
    (_asked, response) => {
      response.writeHead(200, { 'content-length': 1 * MIB, etag: '"x"' })
      response.write(Buffer.alloc(bytes), () => response.socket?.destroy())
    }

  test('while it waits to reconnect sends no more requests', async () => {
    server.script = { GET: [hangsUpAfter(1000)] }
    const stream = await store.open(KEY)
    stream.resume()
    await until(() => server.count('GET') === 2, { what: 'it was asked again' })
    stream.destroy()
    await once(stream, 'close')
    const asked = server.count('GET')
    // Another reading shows that the client still works, and that nothing went on in between.
    server.script = { GET: [ok({ etag: '"x"' }, 'rows')] }
    await store.fetch(KEY, join(folder, 'y'))
    expect(server.count('GET')).toBe(asked + 1)
  })

  test('as often as the client has connections does not block the next', async () => {
    server.script = { GET: [stalls(Buffer.alloc(1000)).answer] }
    for (let left = 0; left < MAX_CONNECTIONS; left += 1) (await store.open(KEY)).destroy()
    server.script = { GET: [ok({ etag: '"x"' }, 'rows')] }
    await store.fetch(KEY, join(folder, 'x'))
    expect(await readFile(join(folder, 'x'), 'utf8')).toBe('rows')
  })
})
