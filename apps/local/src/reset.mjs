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
    info(`nothing to remove: there is no ${dataDir}`)
    return 0
  }
  const holder = holderOf(lockFileOf(dataDir))
  if (holder !== undefined) {
    throw new LaunchError(
      `Aduana runs on ${dataDir} (process ${holder.pid}). Stop it first (Ctrl-C in its terminal).`,
    )
  }
  const testing = readdirSync(dataDir).find(
    (name) => /^test-\d+$/.test(name) && processExists(Number(name.slice(5))),
  )
  if (testing !== undefined)
    throw new LaunchError(`a test run uses ${dataDir}/${testing}. Wait for it to end.`)
  if (!isOurDataDir(dataDir)) {
    throw new LaunchError(
      `${dataDir} was not made by Aduana, so it is not removed. Remove it yourself if you mean it.`,
    )
  }
  rmSync(dataDir, { recursive: true, force: true })
  info(`removed ${dataDir}`)
  return 0
}
