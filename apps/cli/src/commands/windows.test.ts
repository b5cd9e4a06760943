import type { LedgerDay } from '@aduana/contracts/window-ledger'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { JOB_ID } from '../testing/jobs.ts'
import { openScriptedApi, type ScriptedApi } from '../testing/scripted-api.ts'

let api: ScriptedApi
beforeAll(async () => {
  api = await openScriptedApi()
})
afterAll(() => api.close())
beforeEach(() => api.forget())

const PATH = '/api/datasets/production/windows'
const day = (date: string, given: Partial<LedgerDay> = {}): LedgerDay => ({
  ...{ scope: '', day: date, state: 'loaded', rows: 600, jobId: JOB_ID, updatedAt: null },
  ...given,
})

test('aduana windows joins days of one state and one job, and adds up their rows', async () => {
  const missing = { state: 'missing', rows: 0, jobId: null } as const
  api.answer(PATH, {
    items: [
      day('2024-01-01'),
      day('2024-01-02'),
      day('2024-01-03', missing),
      day('2024-01-05', missing),
      day('2024-01-06', { state: 'partial', rows: null }),
    ],
  })
  const { code, out } = await api.aduana(
    'windows',
    'production',
    '--from',
    '2024-01-01',
    '--to',
    '2024-01-07',
  )
  expect(code).toBe(0)
  expect(out.trimEnd().split('\n')).toEqual([
    expect.stringMatching(/^first day +last day +days +state +rows +job$/),
    expect.stringMatching(new RegExp(`^2024-01-01 +2024-01-02 +2 +loaded +1,200 +${JOB_ID}$`)),
    expect.stringMatching(/^2024-01-03 +2024-01-03 +1 +missing +0/),
    expect.stringMatching(/^2024-01-05 +2024-01-05 +1 +missing +0/),
    expect.stringMatching(new RegExp(`^2024-01-06 +2024-01-06 +1 +partial +not shown +${JOB_ID}$`)),
  ])
  expect(api.asked()).toEqual([`GET ${PATH}?from=2024-01-01&to=2024-01-07`])
})

test('aduana windows names the scopes where there are some, and says when there are no days', async () => {
  api.answer(PATH, { items: [day('2024-01-01', { scope: 'North' }), day('2024-01-02', { scope: 'South' })] })
  const { out } = await api.aduana('windows', 'production', '--scope', 'North')
  expect(out).toMatch(/^scope +first day/)
  expect(out).toMatch(/^North +2024-01-01 +2024-01-01 +1 /m)
  expect(api.asked()).toEqual([`GET ${PATH}?scope=North`])
  api.answer(PATH, { items: [] })
  expect((await api.aduana('windows', 'production')).out).toBe('No days found.\n')
})
