import { readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'

/** Returns the files of a folder that a process holds open, by default this process. Deleted files end with ` (deleted)`. */
export async function openFiles(folder: string, pid: number | 'self' = 'self'): Promise<string[]> {
  const descriptors = `/proc/${pid}/fd`
  const targets = await Promise.all(
    (await readdir(descriptors)).map((name) =>
      // The descriptor may be closed meanwhile.
      readlink(join(descriptors, name)).catch(() => ''),
    ),
  )
  return targets.filter((target) => target.startsWith(`${folder}/`)).sort()
}
