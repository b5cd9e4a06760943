import { Dataset } from '@aduana/contracts/datasets'
import { Metric } from '@aduana/contracts/metrics/http'
import { Problem } from '@aduana/contracts/problems'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { JSON_BODY } from '../testing/metrics.ts'
import { startApi, type TestApi, type TestUser } from '../testing/start-api.ts'

let api: TestApi
let admin: TestUser
beforeAll(async () => {
  api = await startApi()
  admin = await api.addUser('admin')
})
afterAll(() => api.close())

const put = (path: string, body: unknown, seen?: string) =>
  admin.ask(path, {
    method: 'PUT',
    headers: { ...JSON_BODY, ...(seen === undefined ? {} : { 'if-match': seen }) },
    body: JSON.stringify(body),
  })

/** What has versions: its address, how it is now, and another form of it. */
const KINDS: [what: string, path: string, forms: () => Promise<unknown[]>][] = [
  [
    'dataset',
    '/api/datasets/dkt',
    async () => {
      const { definition } = Dataset.parse(await (await admin.ask('/api/datasets/dkt')).json())
      return [0.5, 0.6, 0.7].map((maxRejectRatio) => ({ ...definition, maxRejectRatio }))
    },
  ],
  [
    'metric',
    '/api/metrics/production.pieces',
    async () => {
      const { definition } = Metric.parse(await (await admin.ask('/api/metrics/production.pieces')).json())
      return ['a', 'b', 'c'].map((en) => ({ ...definition, title: { ...definition?.title, en } }))
    },
  ],
  [
    'series',
    '/api/series/dkt.more',
    async () =>
      ['a', 'b', 'c'].map((en) => ({
        dataset: 'production',
        column: 'cantidad',
        title: { en, es: en },
      })),
  ],
]

describe.each(KINDS)('a %s', (what, path, forms) => {
  test('is changed only with its current version, and never overwrites another change', async () => {
    const [mine, theirs, later] = await forms()
    const first = await put(path, mine)
    const seen = first.headers.get('etag') ?? ''
    expect(seen).toMatch(/^"\d+"$/)
    if (what !== 'series') expect((await admin.ask(path)).headers.get('etag')).toBe(seen)

    const second = await put(path, theirs, seen)
    expect(second.status).toBe(200)
    const version = Number(seen.slice(1, -1)) + 1
    expect(second.headers.get('etag')).toBe(`"${version}"`)

    const late = await put(path, later, seen)
    expect(late.status).toBe(412)
    expect(Problem.parse(await late.json())).toMatchObject({ code: 'version_changed', version })
    // Whoever says again what has been done has lost only the answer.
    const again = await put(path, theirs, seen)
    expect([again.status, again.headers.get('etag')]).toEqual([200, `"${version}"`])
  })

  test('is not found with an unknown version or an invalid tag', async () => {
    const [form] = await forms()
    const missing = await put(`${path}x`, { ...Object(form), code: undefined }, '"1"')
    expect(Problem.parse(await missing.json())).toMatchObject({ code: 'version_changed', version: null })
    for (const tag of ['7', 'W/"7"', '"0"', '*', '"1", "2"'])
      expect(Problem.parse(await (await put(path, form, tag)).json())).toMatchObject({
        code: 'bad_request',
        errors: [{ field: 'if-match' }],
      })
  })
})
