import { readdir, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'

const ABANDONED_MS = 60 * 60_000

/**
 * Removes files that killed processes left in the folder of incoming files. Files that changed within the last hour are kept.
 * Returns the number of removed files.
 */
export async function removeAbandoned(
  root: string,
  options: { incoming?: string | undefined; olderThanMs?: number } = {},
): Promise<number> {
  const folder = resolve(options.incoming ?? join(root, 'incoming'))
  const limit = Date.now() - (options.olderThanMs ?? ABANDONED_MS)
  let removed = 0
  for (const name of await namesIn(folder)) {
    const path = join(folder, name)
    // A file may be renamed into place at any time.
    const found = await stat(path).catch(absent)
    // ctime, because a linked file keeps the mtime of its content.
    if (!found?.isFile() || found.ctimeMs > limit || !FILE_NAME.test(name)) continue
    await rm(path, { force: true })
    removed += 1
  }
  return removed
}

// Other programs may use the folder: only names of the store are removed.
const FILE_NAME = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(absent)) ?? []
}

function absent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}
