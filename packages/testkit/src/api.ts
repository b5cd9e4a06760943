import { LoginResponse } from '@aduana/contracts/identity'
import { type ProductProcess, startProduct } from './processes.ts'

const ADMIN = { email: 'admin@aduana.local', password: 'a password for tests' }

/** A running API, with somebody logged in as admin. */
export interface TestApi {
  process: ProductProcess
  url: string
  /** Ask for a path as the admin. */
  fetch(path: string, init?: RequestInit): Promise<Response>
  /** Upload a file as an import, and answer the response whatever it is. */
  upload(content: string, fields: { dataset: string } & Record<string, string>): Promise<Response>
}

/** Start the API of an installation, given its environment; the caller stops its process. */
export async function startApi(environment: Record<string, string>): Promise<TestApi> {
  const process = startProduct('api', {
    ADUANA_JWT_SECRET: 'a secret that is only good for tests',
    ADUANA_ADMIN_EMAIL: ADMIN.email,
    ADUANA_ADMIN_PASSWORD: ADMIN.password,
    PORT: '0',
    ...environment,
  })
  await process.untilLogged('api.ready', 60_000)
  const url = /"address":"(http:[^"]+)"/.exec(process.lines.join('\n'))?.[1] ?? ''
  const login = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(ADMIN),
  })
  const { token } = LoginResponse.parse(await login.json())
  const ask = (path: string, init: RequestInit = {}) =>
    fetch(`${url}${path}`, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } })
  return {
    process,
    url,
    fetch: ask,
    upload: (content, fields) => {
      const body = new FormData()
      for (const [name, value] of Object.entries(fields)) body.append(name, value)
      body.append('file', new Blob([content]), 'test.csv')
      return ask('/api/imports', { method: 'POST', body })
    },
  }
}
