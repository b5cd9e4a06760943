import { readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { LaunchError, systemCode } from './errors.mjs'
import { processExists } from './lock.mjs'

/**
 * Before a start: stops a server that a killed launcher left running on this data folder, and removes a stale postmaster.pid.
 * The caller holds the lock on the folder.
 * @param {string} data
 */
export async function endOrphan(data) {
  const file = join(data, 'postmaster.pid')
  const pid = firstLine(file)
  if (pid === undefined) return
  if (serves(pid, data)) {
    process.kill(pid, 'SIGINT')
    const deadline = Date.now() + 20_000
    while (serves(pid, data)) {
      if (Date.now() > deadline) {
        throw new LaunchError(
          `PostgreSQL from an earlier run (process ${pid}) does not stop. End it and try again.`,
        )
      }
      await delay(50)
    }
  }
  if (firstLine(file) === pid) rmSync(file, { force: true })
}

/** @param {string} file */
function firstLine(file) {
  try {
    const pid = Number(readFileSync(file, 'utf8').split('\n')[0])
    return Number.isInteger(pid) && pid > 1 ? pid : undefined
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/**
 * @param {number} pid
 * @param {string} data
 * @returns {boolean} whether the process is a server of this folder (a postmaster's working folder is its data)
 */
function serves(pid, data) {
  if (!processExists(pid)) return false
  if (process.platform !== 'linux') return true
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === realpathSync(data)
  } catch (error) {
    if (systemCode(error) === undefined) throw error
    return false
  }
}
