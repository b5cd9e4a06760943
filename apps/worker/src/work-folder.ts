import { mkdir, readdir, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { FOLDER_MODE, restrictFolder } from '@aduana/artifacts/own-folder'
import { processExists } from '@aduana/runtime/lifecycle'
import type { Logger } from '@aduana/runtime/logger'

/** Creates a scratch folder for this process and returns its path. Removes those of ended processes of this host. */
export async function claimWorkFolder(dataDir: string, logger: Logger): Promise<string> {
  const root = join(dataDir, 'work')
  await restrictFolder(root, logger)
  const host = hostname().replace(/[^A-Za-z0-9-]/g, '-')
  for (const name of await readdir(root)) {
    const pid = name.startsWith(`${host}.`) ? Number(name.slice(host.length + 1)) : Number.NaN
    if (Number.isInteger(pid) && (pid === process.pid || !processExists(pid)))
      await rm(join(root, name), { recursive: true, force: true })
  }
  const own = join(root, `${host}.${process.pid}`)
  await mkdir(own, { recursive: true, mode: FOLDER_MODE })
  return own
}
