import { createHash, randomUUID } from 'node:crypto'
import { createReadStream, type Dirent } from 'node:fs'
import {
  access,
  chmod,
  constants,
  copyFile,
  type FileHandle,
  link,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  rmdir,
  stat,
} from 'node:fs/promises'
import { basename, dirname, join, resolve, sep } from 'node:path'
import { failPoint } from '@aduana/runtime/fail-points'
import { FILE_MODE, FOLDER_MODE } from './own-folder.ts'
import { type ArtifactStore, checkKey, type Stored, StoreError } from './store.ts'

/**
 * Creates a store on a local disk. A file is written under a temporary name, flushed, and renamed, so that a key is either
 * complete or absent, also after a crash. Temporary files are in `incoming`, by default a folder of the store; on another
 * file system each file is copied once more.
 */
export function createDiskStore(
  root: string,
  options: { incoming?: string | undefined } = {},
): ArtifactStore {
  const folder = resolve(root)
  const incoming = resolve(options.incoming ?? join(folder, 'incoming'))
  const pathOf = (key: string) => join(folder, checkKey(key))
  return {
    put: (key, source, options) =>
      placed({ folder, incoming }, pathOf(key), (path) => write(path, source, options?.maxBytes)),
    putFile: (key, path) =>
      placed({ folder, incoming }, pathOf(key), async (temporary) => {
        await linkOrCopy(path, temporary)
        await chmod(temporary, FILE_MODE)
        return hashFile(temporary)
      }),
    open: async (key) => {
      await assertExists(pathOf(key), key)
      return createReadStream(pathOf(key), { highWaterMark: 1024 * 1024 })
    },
    fetch: async (key, path, expected) => {
      await assertExists(pathOf(key), key)
      if (expected) await assertSize(pathOf(key), key, expected.bytes)
      await rm(path, { force: true })
      await linkOrCopy(pathOf(key), path)
    },
    list: (prefix) => listFiles(folder, checkKey(prefix)),
    remove: async (key) => {
      await rm(pathOf(key), { force: true })
      await removeEmptyFolders(folder, dirname(pathOf(key)))
    },
  }
}

async function* listFiles(folder: string, prefix: string): AsyncGenerator<{ key: string; storedAt: Date }> {
  for (const entry of await entriesOf(join(folder, prefix))) {
    const key = `${prefix}/${entry.name}`
    if (entry.isDirectory()) yield* listFiles(folder, key)
    else if (entry.isFile()) {
      const found = await unlessMissing(stat(join(folder, key)))
      // ctime, because a linked file keeps the mtime of its content.
      if (found) yield { key, storedAt: found.ctime }
    }
  }
}

async function entriesOf(path: string): Promise<Dirent[]> {
  return (await unlessMissing(readdir(path, { withFileTypes: true }))) ?? []
}

/** Returns undefined if the file or folder does not exist. */
async function unlessMissing<T>(looking: Promise<T>): Promise<T | undefined> {
  try {
    return await looking
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

async function placed(
  { folder, incoming }: { folder: string; incoming: string },
  target: string,
  fill: (path: string) => Promise<Stored>,
): Promise<Stored> {
  const temporary = join(incoming, randomUUID())
  try {
    await mkdir(dirname(temporary), { recursive: true, mode: FOLDER_MODE })
    const stored = await fill(temporary)
    await failPoint('artifact.before-rename', basename(target))
    await move(folder, temporary, target)
    await flush(dirname(target))
    await failPoint('artifact.after-rename', basename(target))
    return stored
  } catch (error) {
    // An abandoned file is removed later; the first error is reported.
    await rm(temporary, { force: true }).catch(translate)
    throw translate(error)
  }
}

/** Moves a flushed file into place, by copying it from another file system. */
async function move(folder: string, from: string, to: string): Promise<void> {
  try {
    await renameInto(from, to)
  } catch (error) {
    if (codeOf(error) !== 'EXDEV') throw error
    const near = join(folder, 'incoming', randomUUID())
    await mkdir(dirname(near), { recursive: true, mode: FOLDER_MODE })
    try {
      await copyFile(from, near)
      await flush(near)
      await renameInto(near, to)
    } finally {
      await rm(near, { force: true })
    }
    await rm(from, { force: true })
  }
}

/** Renames into a folder that may not exist yet, or may be removed concurrently because it is empty. */
async function renameInto(from: string, to: string, tries = 10): Promise<void> {
  try {
    await mkdir(dirname(to), { recursive: true, mode: FOLDER_MODE })
    await rename(from, to)
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' || tries <= 1) throw error
    await renameInto(from, to, tries - 1)
  }
}

/** Removes empty parent folders of a removed key, up to the root. Folders in use are kept. */
async function removeEmptyFolders(root: string, folder: string): Promise<void> {
  for (let empty = folder; empty.startsWith(`${root}${sep}`); empty = dirname(empty)) {
    try {
      await rmdir(empty)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') continue
      if (codeOf(error) === 'ENOTEMPTY' || codeOf(error) === 'EEXIST') return
      throw error
    }
  }
}

async function write(
  path: string,
  source: AsyncIterable<Uint8Array>,
  maxBytes = Number.POSITIVE_INFINITY,
): Promise<Stored> {
  const file = await open(path, 'wx', FILE_MODE)
  try {
    const hash = createHash('sha256')
    let bytes = 0
    for await (const chunk of source) {
      bytes += chunk.length
      if (bytes > maxBytes) throw new StoreError('too_large', `The file is larger than ${maxBytes} bytes.`)
      hash.update(chunk)
      await writeAll(file, chunk)
    }
    await file.sync()
    return { bytes, sha256: hash.digest('hex') }
  } finally {
    await file.close()
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let offset = 0; offset < chunk.length; ) {
    const { bytesWritten } = await file.write(chunk, offset)
    offset += bytesWritten
  }
}

async function hashFile(path: string): Promise<Stored> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    hash.update(chunk)
    bytes += chunk.length
  }
  await flush(path)
  return { bytes, sha256: hash.digest('hex') }
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    // Another file system, or one without hard links.
    if (codeOf(error) === 'ENOENT') throw error
    await copyFile(from, to)
  }
}

/** Flushes a file or a folder to disk. */
async function flush(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

async function assertExists(path: string, key: string): Promise<void> {
  const missing = (cause?: unknown) =>
    new StoreError('missing', `The file "${key}" is not in the store.`, { cause })
  try {
    await access(path, constants.R_OK)
    // A prefix of other keys is a folder.
    if (!(await stat(path)).isFile()) throw missing()
  } catch (error) {
    throw ['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '') ? missing(error) : error
  }
}

async function assertSize(path: string, key: string, bytes: number): Promise<void> {
  const { size } = await stat(path)
  if (size === bytes) return
  throw new StoreError('damaged', `The file "${key}" has ${size} bytes in the store; expected ${bytes}.`)
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

function translate(error: unknown): unknown {
  switch (codeOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new StoreError('full', 'The artifact store is full.', { cause: error })
    case 'EROFS':
    case 'EACCES':
      return new StoreError('read_only', 'The artifact store is not writable.', { cause: error })
    default:
      return error
  }
}
