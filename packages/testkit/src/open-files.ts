import { readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'

/** The files of a folder that a process holds open, by default this process. A deleted one ends with ` (deleted)`. */
export async function openFiles(folder: string, pid: number | 'self' = 'self'): Promise<string[]> {
  const descriptors = `/proc/${pid}/fd`
  const targets = await Promise.all(
    (await readdir(descriptors)).map((name) =>
      // A descriptor that was closed meanwhile.
      readlink(join(descriptors, name)).catch(() => ''),
    ),
  )
  return targets.filter((target) => target.startsWith(`${folder}/`)).sort()
}
