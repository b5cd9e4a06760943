import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ArtifactStore } from '../store.ts'

/** A store for one test, and what the suite must know of it beside its interface. */
export interface StoreUnderTest {
  store: ArtifactStore
  /** The name of everything that lies in it, also of what is half done. */
  contents(): Promise<string[]>
  close(): Promise<void>
}

const KEY = 'jobs/7f0c/parse/1/parsed.parquet'
const ESCAPES = [
  ...['', '/', '/etc/passwd', '..', '../x', 'jobs/../../x', 'jobs/./x', 'jobs//x', 'jobs/x/', './x'],
  ...[
    'jobs\\..\\x',
    'C:/x',
    'jobs/x\u0000',
    'jobs/x\n',
    'jobs/ñ',
    '.hidden',
    '~/x',
    '%2e%2e/x',
    'a'.repeat(129),
  ],
]

async function* parts(...all: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of all) yield typeof part === 'string' ? Buffer.from(part) : part
}

async function* brokenAfter(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
  throw new Error('the uploader went away')
}

function storedAs(content: string | Uint8Array): { bytes: number; sha256: string } {
  const bytes = Buffer.from(content)
  return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
}

/** Declares the tests of every artifact store. */
export function describeStore(name: string, create: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    let under: StoreUnderTest
    let store: ArtifactStore
    let folder: string
    beforeEach(async () => {
      under = await create()
      store = under.store
      folder = await mkdtemp(join(tmpdir(), 'aduana-store-'))
    })
    afterEach(async () => {
      await under.close()
      await rm(folder, { recursive: true })
    })

    const local = (file: string) => join(folder, file)
    const read = async (key: string) => {
      const all: Buffer[] = []
      for await (const part of await store.open(key)) all.push(part)
      return Buffer.concat(all)
    }
    const text = async (key: string) => (await read(key)).toString()

    test('a stored stream is read back as it was, with its length and SHA-256', async () => {
      expect(await store.put(KEY, parts('first ', 'second'))).toEqual(storedAs('first second'))
      expect(await text(KEY)).toBe('first second')
      expect(await under.contents()).toEqual([KEY])
    })

    test('large and uneven chunks arrive whole', async () => {
      const content = randomBytes(3_500_001)
      const cuts = [content.subarray(0, 1), content.subarray(1, 3_000_000), content.subarray(3_000_000)]
      expect(await store.put(KEY, parts(...cuts))).toEqual(storedAs(content))
      expect((await read(KEY)).equals(content)).toBe(true)
    })

    test('an empty file is a file', async () => {
      expect(await store.put(KEY, parts())).toEqual(storedAs(''))
      expect(await text(KEY)).toBe('')
    })

    test('a file of just the limit is stored', async () => {
      expect(await store.put(KEY, parts('12345', '67890'), { maxBytes: 10 })).toEqual(storedAs('1234567890'))
    })

    test('a file over the limit is refused and leaves nothing', async () => {
      const storing = store.put(KEY, parts('12345', '67890', 'x'), { maxBytes: 10 })
      await expect(storing).rejects.toMatchObject({ name: 'StoreError', code: 'too_large' })
      expect(await under.contents()).toEqual([])
    })

    test('a source over the limit is not read to its end', async () => {
      let read = 0
      const endless = async function* () {
        for (;;) {
          read += 1
          yield Buffer.alloc(1000)
        }
      }
      await expect(store.put(KEY, endless(), { maxBytes: 10_000 })).rejects.toMatchObject({
        code: 'too_large',
      })
      expect(read).toBeLessThan(20)
    })

    test('a source that fails midway passes its error on and leaves nothing', async () => {
      await expect(store.put(KEY, brokenAfter('half'))).rejects.toThrow('the uploader went away')
      expect(await under.contents()).toEqual([])
      await expect(store.open(KEY)).rejects.toMatchObject({ code: 'missing' })
    })

    test('a key is not there before all of it is', async () => {
      let while_: unknown
      const source = async function* () {
        yield Buffer.from('half')
        while_ = await store.open(KEY).catch((error: unknown) => error)
        yield Buffer.from(' and half')
      }
      await store.put(KEY, source())
      expect(while_).toMatchObject({ code: 'missing' })
      expect(await text(KEY)).toBe('half and half')
    })

    test('storing a key again replaces it', async () => {
      await store.put(KEY, parts('old'))
      expect(await store.put(KEY, parts('new and longer'))).toEqual(storedAs('new and longer'))
      expect(await text(KEY)).toBe('new and longer')
      expect(await under.contents()).toEqual([KEY])
    })

    test('storing a key again in vain keeps what was there', async () => {
      await store.put(KEY, parts('old'))
      await expect(store.put(KEY, brokenAfter('ne'))).rejects.toThrow('the uploader went away')
      await expect(store.put(KEY, parts('too long'), { maxBytes: 3 })).rejects.toMatchObject({
        code: 'too_large',
      })
      expect(await text(KEY)).toBe('old')
      expect(await under.contents()).toEqual([KEY])
    })

    test('who reads while a key is replaced reads the one or the other', async () => {
      const old = Buffer.alloc(3_000_000, 'o')
      await store.put(KEY, parts(old))
      const stream = await store.open(KEY)
      const first = new Promise<void>((resolve) => stream.once('readable', () => resolve()))
      await first
      await store.put(KEY, parts(Buffer.alloc(3_000_000, 'n')))
      const all: Buffer[] = []
      for await (const part of stream) all.push(part)
      expect(Buffer.concat(all).equals(old)).toBe(true)
    })

    test('of several who store one key at once, one wins whole', async () => {
      const contents = Array.from({ length: 8 }, (_, n) => Buffer.alloc(300_000, String(n)))
      await Promise.all(contents.map((content) => store.put(KEY, parts(content))))
      const found = await read(KEY)
      expect(contents.some((content) => content.equals(found))).toBe(true)
      expect(await under.contents()).toEqual([KEY])
    })

    test('a finished file is stored with its length and SHA-256', async () => {
      await writeFile(local('clean'), 'rows')
      expect(await store.putFile(KEY, local('clean'))).toEqual(storedAs('rows'))
      await rm(local('clean'), { force: true })
      expect(await text(KEY)).toBe('rows')
      expect(await under.contents()).toEqual([KEY])
    })

    test('a finished file that is not there leaves nothing', async () => {
      await expect(store.putFile(KEY, local('nothing'))).rejects.toMatchObject({ code: 'ENOENT' })
      expect(await under.contents()).toEqual([])
    })

    test('a file is fetched to a local path, over what lay there', async () => {
      await store.put(KEY, parts('content'))
      await writeFile(local('copy'), 'something older and longer')
      await store.fetch(KEY, local('copy'))
      expect(await readFile(local('copy'), 'utf8')).toBe('content')
    })

    test('a file of another length than was stored is not fetched', async () => {
      const stored = await store.put(KEY, parts('content'))
      await store.fetch(KEY, local('copy'), stored)
      expect(await readFile(local('copy'), 'utf8')).toBe('content')
      const damaged = store.fetch(KEY, local('other'), { ...stored, bytes: 8 })
      await expect(damaged).rejects.toMatchObject({ name: 'StoreError', code: 'damaged' })
      expect(await readdir(folder)).toEqual(['copy'])
    })

    test('what lies below a prefix is listed, with the time of its storing', async () => {
      const keys = ['jobs/a/parse/1/x', 'jobs/a/parse/1/y', 'jobs/b/load/2.1/z']
      for (const key of [...keys, 'jobsx/a', 'health/a']) await store.put(key, parts('x'))
      const found: string[] = []
      for await (const { key, storedAt } of store.list('jobs')) {
        found.push(key)
        expect(Math.abs(Date.now() - storedAt.getTime())).toBeLessThan(60_000)
      }
      expect(found.sort()).toEqual(keys)
      const none: string[] = []
      for await (const { key } of store.list('jobs/c')) none.push(key)
      expect(none).toEqual([])
    })

    test('removing a local copy leaves the stored file', async () => {
      await store.put(KEY, parts('content'))
      await store.fetch(KEY, local('copy'))
      await rm(local('copy'))
      expect(await text(KEY)).toBe('content')
    })

    test('a key that is not there is told as missing', async () => {
      const missing = { name: 'StoreError', code: 'missing', message: expect.stringContaining(KEY) }
      await expect(store.open(KEY)).rejects.toMatchObject(missing)
      await expect(store.fetch(KEY, local('x'))).rejects.toMatchObject(missing)
    })

    test('the beginning of a key, and what would lie below one, are missing too', async () => {
      await store.put(KEY, parts('content'))
      for (const key of ['jobs', 'jobs/7f0c', `${KEY}/more`])
        await expect(store.open(key), key).rejects.toMatchObject({ code: 'missing' })
    })

    test('a removed key is gone, and removing it again is no error', async () => {
      await store.put(KEY, parts('content'))
      await store.put(`${KEY}.2`, parts('other'))
      await store.remove(KEY)
      await store.remove(KEY)
      await expect(store.open(KEY)).rejects.toMatchObject({ code: 'missing' })
      expect(await under.contents()).toEqual([`${KEY}.2`])
    })

    test('removing and storing keys of one folder at once loses none', async () => {
      for (let round = 0; round < 20; round += 1) {
        await store.put('jobs/a/old', parts('old'))
        await Promise.all([store.remove('jobs/a/old'), store.put('jobs/a/new', parts(`new ${round}`))])
        expect(await text('jobs/a/new')).toBe(`new ${round}`)
        await store.remove('jobs/a/new')
      }
    })

    test.each(ESCAPES)('the key %j is refused by every operation', async (key) => {
      await writeFile(local('x'), 'x')
      const operations = [
        async () => store.put(key, parts('x')),
        async () => store.putFile(key, local('x')),
        async () => store.open(key),
        async () => store.fetch(key, local('y')),
        async () => store.remove(key),
      ]
      for (const operation of operations)
        await expect(operation()).rejects.toThrow('not a usable artifact key')
      expect(await under.contents()).toEqual([])
    })
  })
}
