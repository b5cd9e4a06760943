import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openScriptedApi, type ScriptedApi } from '../testing/scripted-api.ts'

let api: ScriptedApi
beforeAll(async () => {
  api = await openScriptedApi()
})
afterAll(() => api.close())
beforeEach(() => api.forget())

const pieces = {
  code: 'production.pieces',
  title: { en: 'Pieces', es: 'Piezas' },
  dataset: 'production',
  column: 'cantidad',
  unit: 'pieces',
  version: 3,
}

test('aduana series lists the series, and shows one as its definition', async () => {
  api.answer('/api/series', { items: [pieces, { ...pieces, code: 'production.records', column: null }] })
  const { out } = await api.aduana('series')
  expect(out).toMatch(/^production\.pieces +Pieces +production +cantidad +pieces +3$/m)
  expect(out).toMatch(/^production\.records .*\(rows\)/m)
  const { version: _, ...definition } = pieces
  expect(JSON.parse((await api.aduana('series', 'production.pieces')).out)).toEqual(definition)
  expect(await api.aduana('series', 'production.wings')).toMatchObject({
    code: 1,
    err: expect.stringContaining('There is no series "production.wings"'),
  })
  api.answer('/api/series', { items: [] })
  expect((await api.aduana('series')).out).toBe('There are no series.\n')
})
