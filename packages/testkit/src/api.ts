import { LoginResponse } from '@aduana/contracts/identity'
import { type ProductProcess, startProduct } from './processes.ts'
import type { TestSystem } from './system.ts'

const PASSWORD = 'a password for tests'
const PASSWORD_HASH = 'scrypt$8192$8$10$DofDyk7jLEgvtTot7lYKRw$jw9WDyiBytPaB9Gef9RhnKo8SPKD7qnpvONj_mt_yLY'

/** A running API, with somebody logged in as admin. */
export interface TestApi {
  process: ProductProcess
  url: string
  /** Who holds it is the admin. */
  token: string
  /** Ask for a path as the admin. */
  fetch(path: string, init?: RequestInit): Promise<Response>
  /** Upload a file as an import, and answer the response whatever it is. */
  upload(content: string, fields: { dataset: string } & Record<string, string>): Promise<Response>
}

/**
 * Start the API of an installation and log in as its admin; the caller stops the process.
 * @throws Error when it does not start or the login fails; the process is stopped then
 */
export async function startApi(system: TestSystem, settings: Record<string, string> = {}): Promise<TestApi> {
  await system.database.pool.query('update users set password_hash = $1 where id = $2', [
    PASSWORD_HASH,
    system.admin.userId,
  ])
  const process = startProduct('api', {
    ...system.environment,
    ADUANA_JWT_SECRET: 'a secret that is only good for tests',
    PORT: '0',
    ...settings,
  })
  try {
    return await logIn(process, system.admin.email)
  } catch (error) {
    await process.stop()
    throw error
  }
}

async function logIn(process: ProductProcess, email: string): Promise<TestApi> {
  await process.untilLogged('api.ready', 120_000)
  const url = /"address":"(http:[^"]+)"/.exec(process.lines.join('\n'))?.[1] ?? ''
  const login = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password: PASSWORD }),
  })
  const { token } = LoginResponse.parse(await login.json())
  const ask = (path: string, init: RequestInit = {}) =>
    fetch(`${url}${path}`, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } })
  return {
    process,
    url,
    token,
    fetch: ask,
    upload: (content, fields) => {
      const body = new FormData()
      for (const [name, value] of Object.entries(fields)) body.append(name, value)
      body.append('file', new Blob([content]), 'test.csv')
      return ask('/api/imports', { method: 'POST', body })
    },
  }
}
