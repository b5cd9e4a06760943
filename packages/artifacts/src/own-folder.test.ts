import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '@aduana/runtime/logger'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createDiskStore } from './disk-store.ts'
import { folderLocation } from './marker.ts'
import { restrictFolder } from './own-folder.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })
let folder: string
let umask: number
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aduana-own-'))
  umask = process.umask(0)
})
afterEach(async () => {
  process.umask(umask)
  await rm(folder, { recursive: true })
})

async function modesBelow(path: string): Promise<Set<string>> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  const modes = entries.map(async (entry) => {
    const { mode } = await stat(join(entry.parentPath, entry.name))
    return `${entry.isDirectory() ? 'folder' : 'file'} ${(mode & 0o777).toString(8)}`
  })
  return new Set(await Promise.all(modes))
}

const content = async function* () {
  yield Buffer.from('a')
}

test('files of a store are accessible only to its user, whatever the umask and the way they were created', async () => {
  const root = join(folder, 'data', 'artifacts')
  await folderLocation(root).write('ours')
  const store = createDiskStore(root)
  await store.put('jobs/1/original', content())
  await writeFile(join(folder, 'made'), 'b', { mode: 0o666 })
  await store.putFile('jobs/1/parse/parsed', join(folder, 'made'))
  await store.fetch('jobs/1/original', join(folder, 'fetched'))
  expect(await modesBelow(join(folder, 'data'))).toEqual(new Set(['folder 700', 'file 600']))
  expect(await modesBelow(folder)).toEqual(new Set(['folder 700', 'file 600']))
})

test('files in a folder of another user are private too, and its mode does not change', async () => {
  const incoming = join(folder, 'incoming')
  await mkdir(incoming, { mode: 0o777 })
  const store = createDiskStore(join(folder, 'artifacts'), { incoming })
  let arriving = new Set<string>()
  await store.put(
    'jobs/1/original',
    (async function* () {
      yield* content()
      arriving = await modesBelow(incoming)
    })(),
  )
  expect(arriving).toEqual(new Set(['file 600']))
  expect((await stat(incoming)).mode & 0o777).toBe(0o777)
})

test('an existing folder and its subfolders become private', async () => {
  const root = join(folder, 'artifacts')
  await mkdir(join(root, 'jobs', 'old'), { recursive: true })
  await chmod(root, 0o755)
  await restrictFolder(root, logger)
  expect((await stat(root)).mode & 0o777).toBe(0o700)
  expect((await stat(join(root, 'jobs'))).mode & 0o777).toBe(0o700)
})
