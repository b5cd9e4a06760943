import { LoginResponse } from '@aduana/contracts/identity'
import { type ProductProcess, startProduct } from './processes.ts'
import type { TestSystem } from './system.ts'

const PASSWORD = 'a password for tests'
const PASSWORD_HASH = 'scrypt$8192$8$10$DofDyk7jLEgvtTot7lYKRw$jw9WDyiBytPaB9Gef9RhnKo8SPKD7qnpvONj_mt_yLY'

/** A running API with a logged-in admin. */
export interface TestApi {
  process: ProductProcess
  url: string
  /** The token of the admin. */
  token: string
  /** Sends a request as the admin. */
  fetch(path: string, init?: RequestInit): Promise<Response>
  /** Uploads a file as an import and returns the response, also an error. */
  upload(content: string, fields: { dataset: string } & Record<string, string>): Promise<Response>
}

/**
 * Starts the API of an installation and logs in as its admin. The caller stops the process.
 * @throws Error when the API does not start or the login fails; the process is stopped then
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
  const request = (path: string, init: RequestInit = {}) =>
    fetch(`${url}${path}`, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } })
  return {
    process,
    url,
    token,
    fetch: request,
    upload: (content, fields) => {
      const body = new FormData()
      for (const [name, value] of Object.entries(fields)) body.append(name, value)
      body.append('file', new Blob([content]), 'test.csv')
      return request('/api/imports', { method: 'POST', body })
    },
  }
}
