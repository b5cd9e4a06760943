import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import type { Api } from '../api/api.ts'
import { login } from '../api/calls.ts'
import { UsageError } from '../errors.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { loginUrl, storeSession } from '../session.ts'

export interface LoginOptions {
  url?: string
  email?: string
  password?: string
}

/** `aduana login`: store a token for the commands that follow. What is missing is asked for on a terminal. */
export async function loginCommand(io: Io, options: LoginOptions): Promise<ExitCode> {
  const url = await loginUrl(io, options.url)
  const email = options.email ?? io.env.ADUANA_EMAIL ?? (await ask(io, 'E-mail: ', false))
  const password = options.password ?? io.env.ADUANA_PASSWORD ?? (await ask(io, 'Password: ', true))
  const api: Api = { url, token: undefined, signal: io.signal }
  const answer = await login(api, email, password)
  const path = await storeSession(io, url, answer)
  const until = answer.expiresAt.slice(0, 16).replace('T', ' ')
  io.out(
    `logged in at ${url} as ${answer.user.email} (${answer.user.role}) until ${until} UTC\nstored in ${path}`,
  )
  return EXIT.loaded
}

async function ask(io: Io, question: string, hidden: boolean): Promise<string> {
  if (!process.stdin.isTTY)
    throw new UsageError(
      'E-mail and password are needed: --email, --password, or ADUANA_EMAIL, ADUANA_PASSWORD.',
    )
  io.err(question)
  const echo = new Writable({
    write: (chunk: Buffer, _, done) => {
      if (!hidden) io.err(chunk.toString())
      done()
    },
  })
  const lines = createInterface({ input: process.stdin, output: echo, terminal: true })
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
