import { readPreview } from '@aduana/jobs/lifecycle/approve'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openRealFiles, type RealFiles } from '../testing/real-files.ts'

let files: RealFiles
beforeAll(async () => {
  files = await openRealFiles()
})
afterAll(() => files.close())

test('a preview omits unchanged days first, and sums no codes', async () => {
  const dataset = await files.dataset(
    [
      { name: 'k', type: 'text', required: true },
      { name: 'day', type: 'date', required: true },
      { name: 'shift', type: 'integer', min: 1, max: 3 },
      { name: 'pieces', type: 'integer' },
    ],
    { loadMode: 'upsert', key: ['k'], windowColumn: 'day', maxWindowDays: 2 },
  )
  const file = (last: number) =>
    `k,day,shift,pieces,remark\na,2024-01-01,1,1,x\nb,2024-01-02,2,1,x\nc,2024-01-03,3,${last},x\n`
  const { job: first } = await files.import(dataset, file(1))
  expect(first).toMatchObject({ status: 'COMPLETED', counts: { loaded: 3 } })
  expect(first.result).toMatchObject({
    ...{ format: 'plain', headerLine: 1, columns: ['k', 'day', 'shift', 'pieces'] },
    ...{ ignoredColumns: ['remark'] },
  })
  const { job } = await files.import(dataset, file(5), { dryRun: 'true' })
  const { preview } = await readPreview(files.system.database.db, files.system.admin, job.id)
  expect(preview.days.map(({ day, changed }) => [day, changed])).toEqual([
    ['2024-01-01', 0],
    ['2024-01-03', 1],
  ])
  expect(preview).toMatchObject({
    daysLeftOut: 1,
    rows: { before: 3, after: 3 },
    sums: [{ column: 'pieces', before: '3', after: '7' }],
  })
})
