import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const PROGRAM = fileURLToPath(new URL('./log-writer.mjs', import.meta.url))
/** It only moves bytes: a small heap and no extra threads are enough. */
const SMALL = ['--max-old-space-size=16', '--max-semi-space-size=1', '--v8-pool-size=0']

/**
 * Starts a process that writes the log of a service, and rotates it.
 * @param {string} file
 * @param {{ bytes: number, files: number }} [limits] those of `rotation.mjs` unless given
 * @returns {{ input: import('node:stream').Writable, written: Promise<void> }} what the service writes to (this process
 * destroys its copy once the service has it), and the end: all output of the service is in the log
 */
export function startLogWriter(file, limits) {
  mkdirSync(dirname(file), { recursive: true })
  // Report a log that cannot be written now. Otherwise the service would just be silent.
  closeSync(openSync(file, 'a', 0o600))
  const numbers = limits === undefined ? [] : [String(limits.bytes), String(limits.files)]
  const writer = spawn(process.execPath, [...SMALL, PROGRAM, file, ...numbers], {
    // Not the environment of the launcher: its NODE_OPTIONS are meant for the services.
    env: { PATH: process.env.PATH },
    detached: true,
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  writer.unref()
  const written = once(writer, 'exit').then(() => undefined)
  return { input: writer.stdin, written }
}
