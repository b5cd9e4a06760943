import { readdir, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'

const ABANDONED_MS = 60 * 60_000

/**
 * Remove what processes that were killed have left in the folder where files arrive. Whatever still grows, or was
 * linked there a moment ago, stays. Answers how many files were removed.
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
    // A file that is renamed into place meanwhile is not ours to remove.
    const found = await stat(path).catch(absent)
    // The change of the inode, not of the content: a file that is linked here keeps the age of its content.
    if (!found?.isFile() || found.ctimeMs > limit || !FILE_NAME.test(name)) continue
    await rm(path, { force: true })
    removed += 1
  }
  return removed
}

// The folder may be one that the operator shares with others: only names that the store gives.
const FILE_NAME = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(absent)) ?? []
}

function absent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
}
