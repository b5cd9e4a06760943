import { Readable, Writable } from 'node:stream'
import type { Io } from '../io.ts'
import { run } from '../program.ts'

/** The exit code and output of the program. */
export interface Captured {
  code: number
  out: string
  err: string
}

/** Runs the program as a shell does, in this environment. */
export async function runCaptured(
  args: readonly string[],
  given: Partial<Io> & Pick<Io, 'env'>,
): Promise<Captured> {
  const said = { out: '', err: '' }
  const code = await run([...args], {
    program: 'aduana',
    out: (line) => {
      said.out += `${line}\n`
    },
    output: () =>
      new Writable({
        write: (part: Buffer, _, done) => {
          said.out += part.toString()
          done()
        },
      }),
    err: (line) => {
      said.err += line
    },
    input: () => Readable.from([]),
    columns: () => undefined,
    signal: new AbortController().signal,
    ...given,
  })
  return { code, ...said }
}
