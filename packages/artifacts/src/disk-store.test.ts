import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { text } from 'node:stream/consumers'
import { armFailPoint, disarmFailPoints } from '@aduana/runtime/fail-points'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createDiskStore } from './disk-store.ts'
import { describeStore } from './testing/store-conformance.ts'

/** The files below a folder, by their path in it. */
async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort()
}

async function* bytes(content: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(content)
}

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aduana-disk-'))
})
afterEach(async () => {
  disarmFailPoints()
  await rm(folder, { recursive: true })
})

/** Where files lie elsewhere than temporary ones do. */
const OTHER_DISK =
  ['/dev/shm', '/var/tmp'].find((path) => statSync(path).dev !== statSync(tmpdir()).dev) ?? ''

describeStore('a disk store', async () => {
  const root = await mkdtemp(join(tmpdir(), 'aduana-disk-'))
  return {
    store: createDiskStore(root),
    contents: () => filesIn(root),
    close: () => rm(root, { recursive: true }),
  }
})

describeStore('a disk store whose files arrive on another disk', async () => {
  const root = await mkdtemp(join(tmpdir(), 'aduana-disk-'))
  const incoming = await mkdtemp(join(OTHER_DISK, 'aduana-incoming-'))
  expect((await stat(root)).dev).not.toBe((await stat(incoming)).dev)
  return {
    store: createDiskStore(root, { incoming }),
    contents: async () => [...(await filesIn(incoming)), ...(await filesIn(root))],
    close: async () => {
      await rm(root, { recursive: true })
      await rm(incoming, { recursive: true })
    },
  }
})

describe('a finished file', () => {
  const inode = async (path: string) => (await stat(path)).ino

  test('of the same disk is linked, not copied', async () => {
    const path = join(folder, 'finished')
    await writeFile(path, 'rows')
    await createDiskStore(join(folder, 'store')).putFile('a/b', path)
    expect(await inode(join(folder, 'store/a/b'))).toBe(await inode(path))
  })

  test('of another disk is copied', async () => {
    const other = await mkdtemp(join(OTHER_DISK, 'aduana-'))
    try {
      const path = join(other, 'finished')
      await writeFile(path, 'rows')
      await createDiskStore(folder).putFile('a/b', path)
      await rm(path)
      expect(await text(await createDiskStore(folder).open('a/b'))).toBe('rows')
    } finally {
      await rm(other, { recursive: true })
    }
  })

  test('is fetched as a link', async () => {
    const store = createDiskStore(join(folder, 'store'))
    await store.put('a/b', bytes('rows'))
    await store.fetch('a/b', join(folder, 'copy'))
    expect(await inode(join(folder, 'copy'))).toBe(await inode(join(folder, 'store/a/b')))
  })
})

test('a store that dies before the last step leaves no key, only a file in incoming', async () => {
  armFailPoint('artifact.before-rename', () => {
    throw new Error('died')
  })
  const store = createDiskStore(folder)
  // Dying would not even clean up; an error does.
  await expect(store.put('a/b', bytes('x'))).rejects.toThrow('died')
  expect(await filesIn(folder)).toEqual([])
  await expect(store.open('a/b')).rejects.toMatchObject({ code: 'missing' })
})

test('a process that is killed before the last step leaves no key', async () => {
  const { signal } = await inChild(
    `armFailPointsFrom('artifact.before-rename=kill'); await store.put('a/b', source(10))`,
  )
  expect(signal).toBe('SIGKILL')
  expect(await filesIn(folder)).toEqual([expect.stringMatching(/^incoming\//)])
})

test('a process that is killed after the last step leaves the whole key', async () => {
  const { signal } = await inChild(
    `armFailPointsFrom('artifact.after-rename=kill'); await store.put('a/b', source(10))`,
  )
  expect(signal).toBe('SIGKILL')
  expect(await filesIn(folder)).toEqual(['a/b'])
})

test('removing the last key of a folder removes the folder, but never the root', async () => {
  const store = createDiskStore(folder)
  await store.put('jobs/1/parse/a', bytes('x'))
  await store.put('jobs/2/parse/a', bytes('x'))
  await store.remove('jobs/1/parse/a')
  expect(await readdir(join(folder, 'jobs'))).toEqual(['2'])
  await store.remove('jobs/2/parse/a')
  expect(await readdir(folder)).toEqual(['incoming'])
})

test('a full disk is reported as full, and nothing is left', async () => {
  const { output } = await inChild(
    `try { await store.put('a/b', source(200_000)) } catch (error) { console.log(error.code) }`,
    'ulimit -f 100', // in blocks of 512 bytes
  )
  expect(output.trim()).toBe('full')
  expect(await filesIn(folder)).toEqual([])
})

test('a store without write permission is reported as read-only', async () => {
  // Root may write everywhere; nobody may not, but must be able to reach the folder.
  const root = process.geteuid?.() === 0
  const shut = await mkdtemp(join(root ? '/tmp' : tmpdir(), 'aduana-disk-'))
  await createDiskStore(shut).put('a/b', bytes('x'))
  const everything = await readdir(shut, { recursive: true })
  for (const path of ['.', ...everything]) await chmod(join(shut, path), 0o555)
  if (root) process.seteuid?.(65_534)
  try {
    const store = createDiskStore(shut)
    await expect(store.put('a/c', bytes('x'))).rejects.toMatchObject({ code: 'read_only' })
    expect(await text(await store.open('a/b'))).toBe('x')
  } finally {
    if (root) process.seteuid?.(0)
    for (const path of ['.', ...everything]) await chmod(join(shut, path), 0o755)
    await rm(shut, { recursive: true })
  }
})

/** Runs statements in a process of its own on the built store, after a shell command that limits it. */
async function inChild(statements: string, limit = 'true') {
  const program = `
    const { createDiskStore } = await import(${JSON.stringify(new URL('../dist/disk-store.js', import.meta.url).href)})
    const { armFailPointsFrom } = await import(${JSON.stringify(import.meta.resolve('@aduana/runtime/fail-points'))})
    const store = createDiskStore(${JSON.stringify(folder)})
    async function* source(bytes) { for (let n = 0; n < bytes; n += 1000) yield Buffer.alloc(1000) }
    ${statements}`
  const child = spawn(
    'sh',
    ['-c', `${limit} && exec "$0" "$@"`, process.execPath, '--input-type=module', '-e', program],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const output = text(child.stdout)
  const [, signal] = await once(child, 'exit')
  return { output: await output, signal }
}
