import { PROBLEMS, Problem } from '@aduana/contracts/problems'
import { LONG } from '@aduana/testkit/long'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openApiDocument } from './openapi-document.ts'
import { type FuzzRequest, type Operation, requestsOf } from './testing/fuzz/requests.ts'
import type { World } from './testing/fuzz/schema-values.ts'
import { sender } from './testing/fuzz/send.ts'
import { fill, goodBodies, readDocument, readWorld } from './testing/fuzz/world.ts'
import { startApi, type TestApi, type TestUser } from './testing/start-api.ts'

/** API_FUZZ_REQUESTS=2000 looks longer, API_FUZZ_SEED=… elsewhere. */
const SEED = Number(process.env.API_FUZZ_SEED ?? 20_260_301)
const REQUESTS = Number(process.env.API_FUZZ_REQUESTS ?? (LONG ? 200 : 12))

const { operations, schemas } = readDocument(JSON.parse(await openApiDocument()))

let api: TestApi
let admin: TestUser
/** Whose sessions end: with them, requests of others would meet nothing but a login. */
let leaving: TestUser
let world: World
let good: Record<string, unknown[]>
let client: ReturnType<typeof sender>
const rejections: unknown[] = []
const note = (reason: unknown) => rejections.push(reason)

beforeAll(async () => {
  process.on('unhandledRejection', note)
  api = await startApi({ MAX_FILE_SIZE: '100000' })
  admin = await api.addUser('admin')
  leaving = await api.addUser('viewer')
  await fill(api, admin)
  world = await readWorld(admin, schemas)
  good = await goodBodies(admin)
  client = sender(api.url)
})
afterAll(async () => {
  process.off('unhandledRejection', note)
  client.close()
  await api.close()
})

test('the document describes operations', () => {
  expect(operations.length).toBeGreaterThan(40)
})

describe('no request causes a server error in', () => {
  test.each(operations.map((operation) => [`${operation.method} ${operation.path}`, operation] as const))(
    '%s',
    { timeout: 60_000 + REQUESTS * 500 },
    async (name, operation) => {
      const requests = requestsOf(operation, world, good[name] ?? [])
      await fc.assert(fc.asyncProperty(requests, callers(operation), answersWell), {
        seed: SEED,
        numRuns: REQUESTS,
      })
      expect(rejections).toEqual([])
    },
  )
})

function callers({ path }: Operation): fc.Arbitrary<string> {
  const own = path === '/api/auth/logout' ? leaving : admin
  return fc.oneof(
    { weight: 30, arbitrary: fc.constant(`Bearer ${own.token}`) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('Bearer', 'Bearer x', 'Basic YTpi', `Bearer ${own.token}x`, 'Bearer a.b.c'),
    },
  )
}

async function answersWell(request: FuzzRequest, authorization: string): Promise<void> {
  const answer = await client.send({ ...request, headers: { ...request.headers, authorization } })
  expect(answer.status, answer.body).toBeLessThan(500)
  if (answer.status < 400) return
  expect(answer.contentType).toContain('application/problem+json')
  const problem = Problem.parse(JSON.parse(answer.body))
  expect(Object.keys(PROBLEMS)).toContain(problem.code)
  // The words of the schema library are for programmers.
  expect(answer.body).not.toMatch(
    /Invalid (input|option|string|number|key|value|discriminator|UUID|ISO|URL|email)|, received |Unrecognized key|Too (big|small)|must match pattern|\\u0001/,
  )
}
