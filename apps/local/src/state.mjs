import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemCode } from './errors.mjs'
import { holderOf } from './lock.mjs'

/**
 * What other commands need to know of the running system; readable by its owner only.
 * @typedef {object} State
 * @property {string} url of the API
 * @property {string} email
 * @property {string} password
 * @property {string} databaseUrl
 * @property {string} redisUrl
 */

/** @param {string} dataDir */
export function lockFileOf(dataDir) {
  return join(dataDir, 'launcher.json')
}

/** @param {string} dataDir */
function stateFileOf(dataDir) {
  return join(dataDir, 'state.json')
}

/**
 * @param {string} dataDir
 * @param {State} state
 */
export function writeState(dataDir, state) {
  const file = stateFileOf(dataDir)
  writeFileSync(`${file}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

/** @param {string} dataDir */
export function forgetState(dataDir) {
  rmSync(stateFileOf(dataDir), { force: true })
}

/**
 * @param {string} dataDir
 * @returns {State | undefined} undefined when no launcher runs on this folder or it is not up yet
 */
export function readState(dataDir) {
  if (holderOf(lockFileOf(dataDir)) === undefined) return undefined
  try {
    return JSON.parse(readFileSync(stateFileOf(dataDir), 'utf8'))
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined
    throw error
  }
}
