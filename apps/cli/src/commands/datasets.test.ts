import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Dataset } from '@aduana/contracts/datasets'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openScriptedApi, type ScriptedApi } from '../testing/scripted-api.ts'

const definition = DatasetDefinition.parse({
  code: 'scrap',
  title: { en: 'Scrap', es: 'Desperdicio' },
  table: { schema: 'plant', name: 'scrap' },
  columns: [{ name: 'day', type: 'date', required: true, aliases: ['fecha', 'date'] }],
  loadMode: 'append',
})
const dataset: Dataset = {
  ...{ id: '0b8f5a2e-5c1c-4d43-9a55-3f2f0c8b6a11', code: 'scrap', version: 3, title: definition.title },
  ...{ loadMode: 'append', definition, changedBy: null, asShipped: false },
}

let api: ScriptedApi
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aduana-cli-'))
  api = await openScriptedApi()
})
afterAll(async () => {
  await api.close()
  await rm(folder, { recursive: true })
})
beforeEach(() => api.forget())

const PATH = '/api/datasets/scrap'

test('aduana datasets <code> shows a dataset, and with --json the definition that can be saved again', async () => {
  api.answer(PATH, dataset)
  expect((await api.aduana('datasets', 'scrap')).out).toBe(
    [
      'scrap: Scrap',
      'version 3, changed since shipped; append into plant.scrap',
      '',
      'column  type            also called',
      'day     date  required  fecha, date\n',
    ].join('\n'),
  )
  const file = join(folder, 'scrap.json')
  await writeFile(file, (await api.aduana('datasets', 'scrap', '--json')).out)
  api.answer(PATH, { code: 'scrap', version: 4, changed: true })
  expect(await api.aduana('dataset', 'save', file)).toMatchObject({
    code: 0,
    out: 'scrap: saved as version 4\n',
  })
  expect(api.asked().at(-1)).toBe(`PUT /api/datasets/scrap ${JSON.stringify(definition)}`)
  api.answer(PATH, { code: 'scrap', version: 4, changed: false })
  expect((await api.aduana('dataset', 'save', file)).out).toBe('scrap: unchanged, version 4\n')
})

test('aduana dataset save --if-version changes nothing if another user has changed it meanwhile', async () => {
  const file = join(folder, 'seen.json')
  await writeFile(file, JSON.stringify(definition))
  const title = 'The definition has changed'
  api.answer(PATH, { type: 'x', title, status: 412, detail: 'd', code: 'version_changed', version: 5 }, 412)
  const { code, err } = await api.aduana('dataset', 'save', file, '--if-version', '3')
  expect([code, err]).toEqual([1, expect.stringContaining(`${title} (version_changed)`)])
  expect(api.asked()).toEqual([`PUT ${PATH} If-Match "3" ${JSON.stringify(definition)}`])
})

test('aduana dataset save reports every problem of a definition', async () => {
  const file = join(folder, 'wrong.json')
  await writeFile(file, JSON.stringify({ code: 'scrap' }))
  const problems = [
    { path: 'columns[0]', code: 'table_differs', message: 'there is no column "day"' },
    { path: '', code: 'fixed', message: 'it is fixed' },
  ]
  const title = 'The definition of the dataset is invalid'
  const body = { type: 'x', title, status: 422, detail: 'd', code: 'invalid_dataset', problems }
  api.answer(PATH, body, 422)
  const { code, err } = await api.aduana('dataset', 'save', file)
  expect(code).toBe(1)
  expect(err.split('\n').map((line) => line.trim())).toEqual([
    `aduana: ${title} (invalid_dataset)`,
    'columns[0]: there is no column "day"',
    'it is fixed',
    '',
  ])
})

test('aduana dataset save reports what is wrong with a file', async () => {
  const file = join(folder, 'broken.json')
  expect((await api.aduana('dataset', 'save', join(folder, 'none.json'))).err).toContain('cannot be read')
  await writeFile(file, '{')
  expect((await api.aduana('dataset', 'save', file)).err).toContain('is not JSON')
  await writeFile(file, '[]')
  expect(await api.aduana('dataset', 'save', file)).toMatchObject({
    code: 1,
    err: expect.stringContaining('"code" is missing'),
  })
  expect(api.asked()).toEqual([])
})
