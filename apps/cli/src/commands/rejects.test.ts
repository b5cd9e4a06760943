import type { FileLayout, Reject } from '@aduana/contracts/rejects'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { JOB_ID } from '../testing/jobs.ts'
import { openScriptedApi, type ScriptedApi } from '../testing/scripted-api.ts'

let api: ScriptedApi
beforeAll(async () => {
  api = await openScriptedApi()
})
afterAll(() => api.close())

const PATH = `/api/jobs/${JOB_ID}/rejects`
const FILE: FileLayout = {
  header: 'k;n',
  headerTruncated: false,
  delimiter: ';',
  encoding: 'utf-16le',
  format: 'gzip',
}
const REJECT: Reject = {
  ...{ id: '4294967298', jobId: JOB_ID, dataset: 'own', record: 2, line: 3, offset: 12, length: 6 },
  reasons: [{ column: 'n', code: 'not_an_integer', message: '"x" is no whole number', value: 'x' }],
  ...{ raw: 'b;x', rawTruncated: false, state: 'open' },
}

test('aduana rejects --json prints the header and the delimiter first, and then each reject with its position', async () => {
  api.answer(PATH, { items: [REJECT], next: null, file: FILE })
  const { code, out } = await api.aduana('rejects', JOB_ID, '--json')
  expect(code).toBe(0)
  expect(
    out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([FILE, REJECT])
})

test('aduana rejects shows those of a dry run', async () => {
  api.answer(PATH, { items: [{ ...REJECT, state: null }], next: null, file: FILE })
  const { code, out } = await api.aduana('rejects', JOB_ID)
  expect(code).toBe(0)
  expect(out).toMatch(/2 +3 +not stored +b;x +n +not_an_integer +"x" is no whole number/)
})

test('aduana rejects shows the code and the whole text of every reason', async () => {
  const advice = `"${'x'.repeat(90)}" is no date. Format the column as a date, and export it again`
  const reasons = [
    { column: null, code: 'too_many_columns', message: '4 columns, expected 3', value: null },
    { column: 'n', code: 'not_a_date', message: advice, value: 'x' },
  ]
  api.answer(PATH, { items: [{ ...REJECT, reasons }], next: null, file: FILE })
  const { out } = await api.aduana('rejects', JOB_ID)
  expect(out).toMatch(/2 +3 +open +b;x +\(record\) +too_many_columns +4 columns, expected 3\n/)
  expect(out).toContain(`n         not_a_date        ${advice}\n`)
})

test('aduana rejects reports if there are none', async () => {
  api.answer(PATH, { items: [], next: null, file: null })
  expect(await api.aduana('rejects', JOB_ID)).toMatchObject({ code: 0, out: 'This job has no rejects.\n' })
  expect(await api.aduana('rejects', JOB_ID, '--json')).toMatchObject({ code: 0, out: '' })
})
