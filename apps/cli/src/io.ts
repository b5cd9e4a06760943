import { basename, relative } from 'node:path'
import type { Readable, Writable } from 'node:stream'

/** Input, output and environment of the program. */
export interface Io {
  /** The command that runs this program, for hints. */
  program: string
  env: Readonly<Record<string, string | undefined>>
  /** Writes results: one line or more, without the last line end. */
  out(text: string): void
  /** The stream of results, for binary data. */
  output(): Writable
  /** Writes progress, notes and errors unchanged. */
  err(text: string): void
  /** Standard input: a terminal, or what was piped in. */
  input(): Readable & { isTTY?: boolean }
  /** The width of the terminal on standard error; undefined if it is not a terminal. */
  columns(): number | undefined
  /** Aborted with an `Interrupted` when the program must stop. */
  signal: AbortSignal
}

/** The program got Ctrl-C or SIGTERM. */
export class Interrupted extends Error {
  readonly exitCode: number
  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(signal === 'SIGINT' ? 'interrupted' : 'terminated')
    this.name = 'Interrupted'
    this.exitCode = signal === 'SIGINT' ? 130 : 143
  }
}

/** Returns the Io of this process. The first signal aborts `signal`; a second one ends the process at once. */
export function processIo(): Io {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => {
      const reason = new Interrupted(name)
      if (controller.signal.aborted) process.exit(reason.exitCode)
      controller.abort(reason)
    })
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // The reader has gone, as in `aduana jobs | head`.
      if (error.code === 'EPIPE') process.exit(0)
      throw error
    })
  return {
    program: programName(process.argv[1] ?? 'aduana', process.cwd()),
    env: process.env,
    out: (text) => void process.stdout.write(`${text}\n`),
    output: () => process.stdout,
    err: (text) => void process.stderr.write(text),
    input: () => process.stdin,
    columns: () => (process.stderr.isTTY ? process.stderr.columns || 80 : undefined),
    signal: controller.signal,
  }
}

/** Returns the command that runs the program: its name if it is installed, else its path relative to the current folder. */
export function programName(path: string, folder: string): string {
  if (!path.endsWith('.js')) return basename(path)
  const below = relative(folder, path)
  return `node ${below.startsWith('..') ? path : below}`
}
