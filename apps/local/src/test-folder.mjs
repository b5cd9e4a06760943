import { mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { processExists } from './lock.mjs'

const MEMORY = '/dev/shm'
const GIB = 1024 ** 3
/** All tests need up to 0.6 at once. */
const ROOM_GIB = 4

/**
 * Makes the folders of one run of the tests: one in the data folder, which marks them as running, and one for their services
 * and temporary files. Both are removed at its end; those of killed runs are removed now. The second lies in memory when
 * there is plenty: the tests make and drop hundreds of databases of hundreds of files each, and ext4 looks past every file
 * that was deleted in the last minute before it makes a new one.
 * @param {string} dataDir
 * @param {import('./lifetime.mjs').Lifetime} life
 * @returns {{ dir: string, scratch: string }}
 */
export function makeTestFolders(dataDir, life) {
  const dir = makeFolder(dataDir, 'test-', life)
  return { dir, scratch: hasRoom() ? makeFolder(MEMORY, 'aduana-test-', life) : dir }
}

/**
 * @param {string} base
 * @param {string} prefix of the names of such folders; the process follows
 * @param {import('./lifetime.mjs').Lifetime} life
 */
function makeFolder(base, prefix, life) {
  removeAbandoned(base, prefix)
  const folder = join(base, `${prefix}${process.pid}`)
  mkdirSync(folder, { mode: 0o700 })
  life.own(`the folder ${folder}`, () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}

/**
 * @param {string} base
 * @param {string} prefix
 */
function removeAbandoned(base, prefix) {
  for (const name of readdirSync(base)) {
    const pid = name.startsWith(prefix) ? Number(name.slice(prefix.length)) : Number.NaN
    if (!Number.isInteger(pid) || processExists(pid)) continue
    const path = join(base, name)
    const owner = statSync(path, { throwIfNoEntry: false })?.uid
    if (owner === process.getuid?.()) rmSync(path, { recursive: true, force: true })
  }
}

function hasRoom() {
  if (statSync(MEMORY, { throwIfNoEntry: false }) === undefined) return false
  const { bavail, bsize } = statfsSync(MEMORY)
  const available = /MemAvailable: +(\d+) kB/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]
  const limit = process.constrainedMemory() || Number.POSITIVE_INFINITY
  const memory = Math.min(Number(available ?? 0) * 1024, limit)
  return bavail * bsize >= ROOM_GIB * GIB && memory >= 1.5 * ROOM_GIB * GIB
}
