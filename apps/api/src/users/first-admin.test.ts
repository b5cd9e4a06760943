import { afterAll, beforeAll, expect, test } from 'vitest'
import { startApi, type TestApi } from '../testing/start-api.ts'
import { ensureFirstAdmin } from './first-admin.ts'
import { hashPassword, passwordMatches } from './passwords.ts'

let api: TestApi

beforeAll(async () => {
  api = await startApi()
})
afterAll(() => api.close())

test('of several processes that start concurrently one creates the first admin, once', async () => {
  const start = () => ensureFirstAdmin(api.db, { email: 'Admin@Example.com', password: undefined })
  const made = (await Promise.all([start(), start(), start()])).filter((admin) => admin !== undefined)
  expect(made).toEqual([{ email: 'admin@example.com', generatedPassword: expect.stringMatching(/^\S{20}$/) }])
  expect(await start()).toBeUndefined()
  const user = await api.db
    .selectFrom('users')
    .selectAll()
    .where('role', '=', 'admin')
    .executeTakeFirstOrThrow()
  expect(user).toMatchObject({ email: 'admin@example.com', role: 'admin' })
  expect(await passwordMatches(made[0]?.generatedPassword ?? '', user.password_hash)).toBe(true)
  expect(user.password_hash).not.toContain(made[0]?.generatedPassword)
})

test('a password matches its hash only, however its letters are composed', async () => {
  const hash = await hashPassword('contraseña')
  expect(await passwordMatches('contrasen\u0303a', hash)).toBe(true)
  expect(await passwordMatches('contrasena', hash)).toBe(false)
  expect(await hashPassword('contraseña')).not.toBe(hash)
  await expect(passwordMatches('x', 'plain text')).rejects.toThrow('the password hash is malformed')
})
