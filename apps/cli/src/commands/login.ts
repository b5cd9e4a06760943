import type { Api } from '../api/api.ts'
import { login } from '../api/calls.ts'
import { ask } from '../ask.ts'
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
  const otherwise =
    'E-mail and password are needed: --email and --password, or ADUANA_EMAIL and ADUANA_PASSWORD.'
  const email = options.email ?? io.env.ADUANA_EMAIL ?? (await ask(io, 'E-mail: ', { otherwise }))
  const password =
    options.password ?? io.env.ADUANA_PASSWORD ?? (await ask(io, 'Password: ', { hidden: true, otherwise }))
  const api: Api = { url, token: undefined, signal: io.signal }
  const answer = await login(api, email, password)
  const path = await storeSession(io, url, answer)
  const until = answer.expiresAt.slice(0, 16).replace('T', ' ')
  io.out(
    `logged in at ${url} as ${answer.user.email} (${answer.user.role}) until ${until} UTC\nstored in ${path}`,
  )
  return EXIT.loaded
}
