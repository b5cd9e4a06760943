import { access, mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { JOB_ID } from '../testing/jobs.ts'
import { runCaptured } from '../testing/run-captured.ts'

const user = {
  ...{ userId: JOB_ID, email: 'ana@example.com', role: 'operator', tenant: 'default' },
  ...{ companies: null, warehouses: null },
}
const LOGIN = { token: 'secret', expiresAt: '2100-01-01T00:00:00.000Z', user }

interface Answer {
  status: number
  body?: unknown
  retryAfter?: string
}

let folder: string
let url: string
let answer: Answer
let asked: string[] = []
const server = createServer(async (request, response) => {
  let body = ''
  for await (const part of request) body += part
  asked.push([request.method, request.url, request.headers.authorization, body].filter(Boolean).join(' '))
  const { status, body: sent, retryAfter } = answer
  const headers = { 'content-type': 'application/json', ...(retryAfter ? { 'retry-after': retryAfter } : {}) }
  response.writeHead(status, headers).end(sent === undefined ? '' : JSON.stringify(sent))
})
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aduana-sessions-'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
})
afterEach(() => {
  asked = []
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await rm(folder, { recursive: true })
})

const aduana = (args: string[], piped?: string) =>
  runCaptured(args, {
    env: { XDG_CONFIG_HOME: folder, ADUANA_URL: url },
    ...(piped === undefined ? {} : { input: () => Readable.from([Buffer.from(piped)]) }),
  })
const isStored = () =>
  access(join(folder, 'aduana', 'session.json')).then(
    () => true,
    () => false,
  )

test('a piped password logs in, without the line end that echo adds', async () => {
  answer = { status: 200, body: LOGIN }
  const { code } = await aduana(['login', 'ana@example.com', '--password-stdin'], ' p w \n')
  expect(code).toBe(0)
  expect(asked).toEqual(['POST /api/auth/login {"email":"ana@example.com","password":" p w "}'])
  const none = await aduana(['login', 'ana@example.com', '--password-stdin'], '\n')
  expect(none).toMatchObject({ code: 1, err: expect.stringContaining('Standard input is empty') })
  const terminal = await runCaptured(['login', 'ana@example.com', '--password-stdin'], {
    env: { ADUANA_URL: url },
    input: () => Object.assign(Readable.from([]), { isTTY: true }),
  })
  expect(terminal).toMatchObject({ code: 1, err: expect.stringContaining('reads the password from a pipe') })
  expect(asked).toHaveLength(1)
})

test('a login without a terminal explains how to pass the password', async () => {
  const { code, err } = await aduana(['login', 'ana@example.com'])
  expect(code).toBe(1)
  expect(err).toContain('--password-stdin')
  expect(asked).toEqual([])
})

test('too many failed logins report after how many seconds to retry', async () => {
  const problem = {
    type: 'x',
    title: 'Too many failed logins',
    status: 429,
    detail: 'Wait.',
    code: 'too_many_logins',
  }
  answer = { status: 429, body: problem, retryAfter: '43' }
  const { code, err } = await aduana(['login', 'ana@example.com', '--password', 'x'])
  expect(code).toBe(6)
  expect(err).toContain('Try again in 43 s.')
})

test('a logout ends the session at the API, and deletes it only then', async () => {
  answer = { status: 200, body: LOGIN }
  await aduana(['login', 'ana@example.com', '--password', 'x'])
  const problem = { type: 'x', title: 'Away', status: 503, detail: 'Away.', code: 'unavailable' }
  answer = { status: 503, body: problem }
  expect(await aduana(['logout'])).toMatchObject({ code: 6 })
  expect(await isStored()).toBe(true)
  answer = { status: 204 }
  asked = []
  expect(await aduana(['logout'])).toMatchObject({ code: 0, out: `logged out ana@example.com at ${url}\n` })
  expect(asked).toEqual(['POST /api/auth/logout Bearer secret'])
  expect(await isStored()).toBe(false)
  expect(await aduana(['logout'])).toMatchObject({ code: 0, out: 'You are not logged in.\n' })
})

test('a logout of an ended session deletes it', async () => {
  answer = { status: 200, body: LOGIN }
  await aduana(['login', 'ana@example.com', '--password', 'x'])
  const problem = { type: 'x', title: 'No', status: 401, detail: 'No.', code: 'token_expired' }
  answer = { status: 401, body: problem }
  expect(await aduana(['logout'])).toMatchObject({ code: 0 })
  expect(await isStored()).toBe(false)
})

test('--version prints the version of the program', async () => {
  expect(await aduana(['--version'])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
  })
})
