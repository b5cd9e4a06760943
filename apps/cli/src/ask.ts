import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { UsageError } from './errors.ts'
import type { Io } from './io.ts'

/** Asks a question on the terminal and returns the answer. @throws UsageError `otherwise` when there is no terminal */
export async function ask(
  io: Io,
  question: string,
  { hidden = false, otherwise }: { hidden?: boolean; otherwise: string },
): Promise<string> {
  const input = io.input()
  if (!input.isTTY) throw new UsageError(otherwise)
  io.err(question)
  const echo = new Writable({
    write: (chunk: Buffer, _, done) => {
      if (!hidden) io.err(chunk.toString())
      done()
    },
  })
  const lines = createInterface({ input, output: echo, terminal: true })
  // On a terminal in raw mode Ctrl-C is a key, not a signal.
  lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  try {
    return await lines.question('', { signal: io.signal })
  } catch (error) {
    io.signal.throwIfAborted()
    throw error
  } finally {
    lines.close()
    if (hidden) io.err('\n')
  }
}
