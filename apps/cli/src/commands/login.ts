import { addAbortSignal } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { Api } from '../api/api.ts'
import { login } from '../api/calls.ts'
import { ask } from '../ask.ts'
import { UsageError } from '../errors.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import type { Io } from '../io.ts'
import { loginUrl, storeSession } from '../session.ts'

export interface LoginOptions {
  url?: string
  email?: string
  password?: string
  passwordStdin?: boolean
}

/**
 * `aduana login`: stores a token for later commands. Prompts for missing input on a terminal;
 * `--password-stdin` reads the password from standard input.
 */
export async function loginCommand(
  io: Io,
  argument: string | undefined,
  options: LoginOptions,
): Promise<ExitCode> {
  const url = await loginUrl(io, options.url)
  const otherwise =
    'E-mail and password are required, but there is no terminal to prompt for them. Use aduana login EMAIL --password-stdin, or set ADUANA_EMAIL and ADUANA_PASSWORD.'
  const email = argument ?? options.email ?? io.env.ADUANA_EMAIL ?? (await ask(io, 'E-mail: ', { otherwise }))
  const password = options.passwordStdin
    ? await pipedPassword(io)
    : (options.password ??
      io.env.ADUANA_PASSWORD ??
      (await ask(io, 'Password: ', { hidden: true, otherwise })))
  const api: Api = { url, token: undefined, signal: io.signal }
  const answer = await login(api, email, password)
  const path = await storeSession(io, url, answer)
  const until = answer.expiresAt.slice(0, 16).replace('T', ' ')
  io.out(
    `logged in at ${url} as ${answer.user.email} (${answer.user.role}) until ${until} UTC\nstored in ${path}`,
  )
  return EXIT.loaded
}

/** Standard input without the line end that `echo` adds. @throws UsageError */
async function pipedPassword(io: Io): Promise<string> {
  const input = io.input()
  if (input.isTTY)
    throw new UsageError('--password-stdin reads the password from a pipe: echo "$PASSWORD" | aduana login …')
  const piped = await text(addAbortSignal(io.signal, input)).catch((error) => {
    io.signal.throwIfAborted()
    throw error
  })
  const password = piped.replace(/\r?\n$/, '')
  if (password === '')
    throw new UsageError('Standard input is empty. Pipe the password into --password-stdin.')
  return password
}
