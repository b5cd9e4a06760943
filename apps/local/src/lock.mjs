import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { systemCode } from './errors.mjs'

/** @typedef {{ pid: number, born: string }} Holder the birth time distinguishes a reused process id */

/**
 * Takes a lock file. A lock whose process has ended is taken over.
 * @param {string} file
 * @returns {{ release: () => void } | { heldBy: Holder }}
 */
export function takeLock(file) {
  mkdirSync(dirname(file), { recursive: true })
  const mine = { pid: process.pid, born: birthOf(process.pid) ?? '' }
  const draft = `${file}.${process.pid}`
  writeFileSync(draft, JSON.stringify(mine), { mode: 0o600 })
  try {
    for (;;) {
      if (linked(draft, file)) return { release: () => rmSync(file, { force: true }) }
      const holder = readHolder(file)
      if (holder !== undefined && isAlive(holder)) return { heldBy: holder }
      removeStale(file)
    }
  } finally {
    rmSync(draft, { force: true })
  }
}

/**
 * Takes the lock, waiting until its holder releases it.
 * @param {string} file
 * @param {AbortSignal} signal
 * @param {(holder: Holder) => void} onWait called once if it must wait
 * @returns {Promise<{ release: () => void }>}
 */
export async function waitForLock(file, signal, onWait) {
  let told = false
  for (;;) {
    signal.throwIfAborted()
    const lock = takeLock(file)
    if ('release' in lock) return lock
    if (!told) onWait(lock.heldBy)
    told = true
    await delay(200)
  }
}

/**
 * @param {string} file
 * @returns {Holder | undefined} the living holder of a lock, if any
 */
export function holderOf(file) {
  const holder = readHolder(file)
  return holder !== undefined && isAlive(holder) ? holder : undefined
}

/**
 * @param {number} pid
 * @returns {boolean} whether such a process exists and is no zombie
 */
export function processExists(pid) {
  return birthOf(pid) !== undefined
}

/**
 * @param {string} draft
 * @param {string} file
 */
function linked(draft, file) {
  try {
    linkSync(draft, file)
    return true
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    throw error
  }
}

/**
 * Removes a stale lock. If another process has taken it over in between, it is restored.
 * @param {string} file
 */
function removeStale(file) {
  const aside = `${file}.stale.${process.pid}`
  try {
    renameSync(file, aside)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return
    throw error
  }
  const holder = readHolder(aside)
  if (holder !== undefined && isAlive(holder)) linked(aside, file)
  rmSync(aside, { force: true })
}

/**
 * @param {string} file
 * @returns {Holder | undefined}
 */
function readHolder(file) {
  try {
    const value = JSON.parse(readFileSync(file, 'utf8'))
    return Number.isInteger(value?.pid) ? { pid: value.pid, born: String(value.born) } : undefined
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || error instanceof SyntaxError) return undefined
    throw error
  }
}

/** @param {Holder} holder */
function isAlive({ pid, born }) {
  return birthOf(pid) === born
}

/**
 * @param {number} pid
 * @returns {string | undefined} when the process began (clock ticks since boot; empty where /proc is absent), or
 * undefined if it has ended or is a zombie
 */
function birthOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  } catch (error) {
    if (process.platform === 'linux' && systemCode(error) !== undefined) return undefined
    if (systemCode(error) === undefined) throw error
  }
  try {
    process.kill(pid, 0)
    return ''
  } catch (error) {
    return systemCode(error) === 'EPERM' ? '' : undefined
  }
}
