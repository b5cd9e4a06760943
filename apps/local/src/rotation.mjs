import { closeSync, fstatSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { systemCode } from './errors.mjs'

/** A log is put aside when it is larger, in bytes; only whole lines go to the next file. */
export const LOG_BYTES = 20 * 1024 * 1024
/** Number of rotated files besides the current one; `.1` is the newest. */
const ROTATED_LOGS = 4

/**
 * Renames a log to `.1`, an existing `.1` to `.2`, and so on. The oldest is deleted.
 * @param {string} file
 * @param {number} [files] how many files stay
 */
export function rotateLog(file, files = ROTATED_LOGS) {
  rmSync(`${file}.${files}`, { force: true })
  for (let number = files - 1; number >= 0; number -= 1) {
    try {
      renameSync(number === 0 ? file : `${file}.${number}`, `${file}.${number + 1}`)
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error
    }
  }
}

/**
 * Opens a log that rotates when it has grown too large. No output is lost, except while the disk is full: the log says so
 * as soon as it can be written again.
 * @param {string} file
 * @param {{ bytes?: number, files?: number }} [limits]
 * @returns {{ write: (chunk: Buffer) => void, close: () => void }}
 */
export function openRotatingLog(file, { bytes: most = LOG_BYTES, files = ROTATED_LOGS } = {}) {
  let log = openSync(file, 'a', 0o600)
  let size = fstatSync(log).size
  let atLineStart = true
  let lost = 0

  function reopen() {
    closeSync(log)
    log = openSync(file, 'a', 0o600)
    size = fstatSync(log).size
  }

  function rotate() {
    // The previous service may still have a writer of its own: the second of the two finds the file already renamed.
    const there = statSync(file, { throwIfNoEntry: false })
    if (there?.ino === fstatSync(log).ino) rotateLog(file, files)
    reopen()
  }

  /** @param {Buffer} part */
  function append(part) {
    for (let written = 0; written < part.length; ) written += writeSync(log, part, written)
    size += part.length
    if (part.length > 0) atLineStart = part.at(-1) === NEWLINE
  }

  /** @param {Buffer} chunk */
  function take(chunk) {
    let rest = chunk
    while (rest.length > 0) {
      const end = cut(rest, { room: most - size, empty: size === 0, atLineStart })
      append(rest.subarray(0, end))
      rest = rest.subarray(end)
      if (rest.length > 0) rotate()
    }
  }

  return {
    write: (chunk) => {
      try {
        if (lost > 0) {
          reopen()
          append(Buffer.from(`${atLineStart ? '' : '\n'}{"event":"log.lost","bytes":${lost}}\n`))
          lost = 0
        }
        take(chunk)
      } catch (error) {
        if (systemCode(error) === undefined) throw error
        // A full disk must not stop the service whose log this is.
        lost += chunk.length
      }
    },
    close: () => closeSync(log),
  }
}

const NEWLINE = 10

/**
 * @param {Buffer} chunk
 * @param {{ room: number, empty: boolean, atLineStart: boolean }} log the room that is left in it, and its state
 * @returns {number} how many bytes of the chunk belong in this file: as many whole lines as fit
 */
function cut(chunk, { room, empty, atLineStart }) {
  if (chunk.length <= room) return chunk.length
  const fits = room > 0 ? chunk.lastIndexOf(NEWLINE, room - 1) + 1 : 0
  if (fits > 0) return fits
  if (atLineStart && !empty) return 0
  // The line is longer than a file, or began in this one: it ends here.
  const line = chunk.indexOf(NEWLINE) + 1
  return line > 0 ? line : chunk.length
}
