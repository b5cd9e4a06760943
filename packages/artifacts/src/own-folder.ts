import { chmod, mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '@aduana/runtime/logger'
import { StoreError } from './store.ts'

/** Modes of stored files and folders: only the user of the processes may use them. */
export const FILE_MODE = 0o600
export const FOLDER_MODE = 0o700

/**
 * Creates a folder with its parents, or restricts an existing one and its direct subfolders to the user: older versions and
 * other umasks left them open. A folder of another user is not changed, and logged.
 * @throws StoreError `read_only` when it cannot be created
 */
export async function restrictFolder(path: string, logger: Logger): Promise<void> {
  await assertWritable(path, () => mkdir(path, { recursive: true, mode: FOLDER_MODE }))
  const inner = await readdir(path, { withFileTypes: true })
  const folders = inner.filter((entry) => entry.isDirectory()).map(({ name }) => join(path, name))
  for (const folder of [path, ...folders]) {
    try {
      if (((await stat(folder)).mode & 0o777) !== FOLDER_MODE) await chmod(folder, FOLDER_MODE)
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      // Another process has removed the empty folder.
      if (code === 'ENOENT') continue
      if (code !== 'EPERM' && code !== 'EROFS') throw error
      logger.warn({ event: 'store.folder_open_to_others', folder, err: error })
    }
  }
}

/** Runs `work`, which writes to a folder, and returns its result. @throws StoreError `read_only` when the user may not write there */
export async function assertWritable<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    if (!['EACCES', 'EROFS', 'EPERM'].includes(code)) throw error
    throw new StoreError(
      'read_only',
      `Cannot write to the folder ${folder} (${code}). Set ADUANA_DATA_DIR to a folder that the user of this program may write to.`,
      { cause: error },
    )
  }
}
