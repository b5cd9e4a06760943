import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { systemCode } from './errors.mjs'

const MAX_TAIL_BYTES = 64 * 1024

/**
 * @param {string} file
 * @param {number} lines
 * @param {number} [from] byte to start at, to see only what was written since
 * @returns {string} the last lines of a log; a note when there is none
 */
export function tailOf(file, lines, from = 0) {
  const text = readEnd(file, from).trimEnd()
  return text === '' ? '(the log is empty)' : text.split('\n').slice(-lines).join('\n')
}

/**
 * @param {string} file
 * @returns {number} its size in bytes, 0 when absent
 */
export function sizeOf(file) {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

/**
 * @param {string} file
 * @param {number} from
 */
function readEnd(file, from) {
  let handle
  try {
    handle = openSync(file, 'r')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return ''
    throw error
  }
  try {
    const { size } = fstatSync(handle)
    // A log that is shorter than before was rotated in between: all of it is new.
    const start = Math.max(from > size ? 0 : from, size - MAX_TAIL_BYTES, 0)
    const buffer = Buffer.alloc(Math.max(size - start, 0))
    const read = readSync(handle, buffer, 0, buffer.length, start)
    return buffer.toString('utf8', 0, read)
  } finally {
    closeSync(handle)
  }
}
