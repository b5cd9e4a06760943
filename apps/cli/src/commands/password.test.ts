import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { JOB_ID } from '../testing/jobs.ts'
import { runCaptured } from '../testing/run-captured.ts'
import { openScriptedApi, type ScriptedApi } from '../testing/scripted-api.ts'

const PATH = '/api/auth/password'
const NEW = { ADUANA_PASSWORD: 'old password', ADUANA_NEW_PASSWORD: 'new password' }
const user = {
  userId: JOB_ID,
  email: 'ana@example.com',
  role: 'operator',
  tenant: 'default',
  companies: null,
  warehouses: null,
}
const login = (token: string) => ({ token, expiresAt: '2100-01-01T00:00:00.000Z', user })

let api: ScriptedApi
let folder: string
beforeAll(async () => {
  api = await openScriptedApi()
  folder = await mkdtemp(join(tmpdir(), 'aduana-cli-'))
})
beforeEach(() => api.forget())
afterAll(async () => {
  await api.close()
  await rm(folder, { recursive: true })
})

const stored = async () => JSON.parse(await readFile(join(folder, 'aduana', 'session.json'), 'utf8'))

test('aduana password changes it, and replaces the stored login', async () => {
  const env = { XDG_CONFIG_HOME: folder }
  api.answer('/api/auth/login', login('first'))
  const asked = ['login', '--url', api.url, '--email', user.email, '--password', 'old password']
  expect(await runCaptured(asked, { env })).toMatchObject({ code: 0 })
  api.answer(PATH, login('second'))
  const { code, out } = await runCaptured(['password'], { env: { ...env, ...NEW } })
  expect([code, out]).toEqual([0, expect.stringContaining('changed the password of ana@example.com')])
  expect(api.asked().at(-1)).toBe(`POST ${PATH} {"current":"old password","new":"new password"}`)
  expect(await stored()).toMatchObject({ url: api.url, token: 'second' })
})

test('aduana password with a token of the environment stores nothing', async () => {
  api.answer(PATH, login('third'))
  const env = { XDG_CONFIG_HOME: folder, ADUANA_URL: api.url, ADUANA_TOKEN: 'a-token', ...NEW }
  expect(await runCaptured(['password'], { env })).toMatchObject({ code: 0 })
  expect(await stored()).toMatchObject({ token: 'second' })
})

test('aduana password sends no request without a new password', async () => {
  const { code, err } = await api.aduana('password')
  expect([code, err]).toEqual([1, expect.stringContaining('ADUANA_NEW_PASSWORD')])
  expect(api.asked()).toEqual([])
})
