import { afterAll, beforeAll, expect, test } from 'vitest'
import { openScriptedApi, type ScriptedApi } from '../testing/scripted-api.ts'

let api: ScriptedApi
beforeAll(async () => {
  api = await openScriptedApi()
})
afterAll(() => api.close())

test('aduana jobs asks for those that wait, in a state, of a dataset', async () => {
  api.answer('/api/jobs', { items: [], next: null })
  const asked = ['--status', 'processing', '--waiting-for', 'approval', '--dataset', 'orders']
  expect(await api.aduana('jobs', ...asked)).toMatchObject({ code: 0, out: 'There are no such jobs.\n' })
  expect(api.asked()).toEqual(['GET /api/jobs?status=PROCESSING&waitingFor=approval&dataset=orders&limit=20'])
  expect((await api.aduana('jobs', '--waiting-for', 'rain')).code).toBe(1)
})
