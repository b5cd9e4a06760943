import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LoginResponse } from '@aduana/contracts/identity'
import { createTestDatabase, type TestDatabase } from '@aduana/testkit/database'
import { type ProductProcess, startProduct } from '@aduana/testkit/processes'

/** The API as a process of its own, on a database and a data folder of its own. */
export interface ApiProcess {
  process: ProductProcess
  database: TestDatabase
  url: string
  /** Of its first user, an admin. */
  token: string
  folder: string
  close(): Promise<void>
}

const FIRST_USER = { email: 'first@example.com', password: 'first password' }

/** Starts the API without Redis and logs its first user in. */
export async function openApiProcess(): Promise<ApiProcess> {
  const database = await createTestDatabase()
  const folder = await mkdtemp(join(tmpdir(), 'aduana-api-'))
  const process = startProduct('api', {
    DATABASE_URL: database.url,
    // Nothing listens there.
    REDIS_URL: 'redis://127.0.0.1:1',
    ADUANA_DATA_DIR: folder,
    ADUANA_JWT_SECRET: 'a secret that is only good for tests',
    ADUANA_ADMIN_EMAIL: FIRST_USER.email,
    ADUANA_ADMIN_PASSWORD: FIRST_USER.password,
    PORT: '0',
  })
  await process.untilLogged('api.ready', 120_000)
  const url = /"address":"(http:[^"]+)"/.exec(process.lines.join('\n'))?.[1] ?? ''
  const login = await fetch(`${url}/api/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(FIRST_USER),
  })
  const { token } = LoginResponse.parse(await login.json())
  const close = async () => {
    await process.stop()
    await database.drop()
    await rm(folder, { recursive: true, force: true })
  }
  return { process, database, url, token, folder, close }
}
