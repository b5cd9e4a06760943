import { existsSync, readdirSync, rmSync } from 'node:fs'
import { info } from './console.mjs'
import { LaunchError } from './errors.mjs'
import { holderOf, processExists } from './lock.mjs'
import { isOurDataDir } from './settings.mjs'
import { lockFileOf } from './state.mjs'

/**
 * `npm run reset`: removes the data folder, unless something runs on it or it is not the launcher's.
 * @type {import('./commands.mjs').Command}
 */
export async function reset({ settings: { dataDir } }) {
  if (!existsSync(dataDir)) {
    info(`nothing to delete: ${dataDir} does not exist`)
    return 0
  }
  const holder = holderOf(lockFileOf(dataDir))
  if (holder !== undefined) {
    throw new LaunchError(
      `Aduana is running on ${dataDir} (process ${holder.pid}). Stop it first (Ctrl-C in its terminal).`,
    )
  }
  const testing = readdirSync(dataDir).find(
    (name) => /^test-\d+$/.test(name) && processExists(Number(name.slice(5))),
  )
  if (testing !== undefined)
    throw new LaunchError(`a test run is using ${dataDir}/${testing}. Wait until it ends.`)
  if (!isOurDataDir(dataDir)) {
    throw new LaunchError(
      `${dataDir} was not created by Aduana and is not deleted. Delete it yourself if you want to.`,
    )
  }
  rmSync(dataDir, { recursive: true, force: true })
  info(`deleted ${dataDir}`)
  return 0
}
