import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { LoginResponse } from '@aduana/contracts/identity'
import { z } from 'zod'
import type { Api } from './api/api.ts'
import { login } from './api/calls.ts'
import { UsageError, unreadable } from './errors.ts'
import type { Io } from './io.ts'

const DEFAULT_URL = 'http://127.0.0.1:3000'

/** What `aduana login` stores. */
const Session = z.object({ url: z.url(), email: z.string(), token: z.string(), expiresAt: z.iso.datetime() })
type Session = z.infer<typeof Session>

/** Returns the path of the session file, in XDG_CONFIG_HOME or ~/.config. */
function sessionPath(env: Io['env']): string {
  return join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config'), 'aduana', 'session.json')
}

/**
 * Returns the API with the login of the environment: ADUANA_TOKEN, else ADUANA_EMAIL with ADUANA_PASSWORD, else the session
 * that `aduana login` stored. ADUANA_URL is its address; a stored token is only sent to the API that issued it.
 * @throws UsageError without a login, ApiProblem for a wrong one
 */
export async function openApi(io: Io): Promise<Api> {
  const { ADUANA_TOKEN: token, ADUANA_EMAIL: email, ADUANA_PASSWORD: password } = io.env
  const given = io.env.ADUANA_URL ? plainUrl(io.env.ADUANA_URL) : undefined
  if (token) return { url: given ?? DEFAULT_URL, token, signal: io.signal }
  if (email && password) {
    const api: Api = { url: given ?? DEFAULT_URL, token: undefined, signal: io.signal }
    return { ...api, token: (await login(api, email, password)).token }
  }
  const session = await readSession(sessionPath(io.env))
  if (!session) throw new UsageError(`You are not logged in. Log in with: ${io.program} login --url URL`)
  if (given !== undefined && given !== session.url)
    throw new UsageError(
      `You are logged in at ${session.url}, not at ${given}. Log in with: ${io.program} login --url ${given}`,
    )
  if (Date.parse(session.expiresAt) <= Date.now())
    throw new UsageError(
      `The login of ${session.email} has expired. Log in with: ${io.program} login --url ${session.url}`,
    )
  return { url: session.url, token: session.token, signal: io.signal }
}

/** Returns the URL to log in at: the given one, else ADUANA_URL, else that of the last login, else this machine. */
export async function loginUrl(io: Io, given: string | undefined): Promise<string> {
  const url = given ?? io.env.ADUANA_URL
  if (url) return plainUrl(url)
  return (await readSession(sessionPath(io.env)))?.url ?? DEFAULT_URL
}

/** Stores a login in a file that only the user can read. Returns its path. */
export async function storeSession(io: Io, url: string, answer: LoginResponse): Promise<string> {
  const path = sessionPath(io.env)
  const session: Session = { url, email: answer.user.email, token: answer.token, expiresAt: answer.expiresAt }
  await mkdir(join(path, '..'), { recursive: true, mode: 0o700 })
  const written = `${path}.${process.pid}`
  try {
    await writeFile(written, `${JSON.stringify(session, null, 2)}\n`, { mode: 0o600, flag: 'wx' })
    await rename(written, path)
  } finally {
    await rm(written, { force: true })
  }
  return path
}

/** Returns the stored login with its API; undefined without one. @throws UsageError when the file is damaged */
export async function storedApi(io: Io): Promise<{ api: Api; email: string } | undefined> {
  const session = await readSession(sessionPath(io.env))
  if (!session) return undefined
  const { url, token, email } = session
  return { api: { url, token, signal: io.signal }, email }
}

/** Deletes the stored login. */
export async function forgetSession(io: Io): Promise<void> {
  await rm(sessionPath(io.env), { force: true })
}

async function readSession(path: string): Promise<Session | undefined> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw unreadable(path, error)
  })
  if (text === undefined) return undefined
  try {
    return Session.parse(JSON.parse(text))
  } catch {
    throw new UsageError(`${path} is damaged. Log in again with: aduana login`)
  }
}

function plainUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:')
    throw new UsageError(`"${text}" is not a URL. Use one such as ${DEFAULT_URL}`)
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}
