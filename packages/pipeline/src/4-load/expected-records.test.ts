import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { productionFile } from '../testing/datasets.ts'
import { createInProcessSystem, type InProcessSystem } from '../testing/in-process-system.ts'

let system: InProcessSystem
beforeAll(async () => {
  system = await createInProcessSystem()
})
afterAll(() => system.close())

const HEADER = `${productionFile().split('\n', 1)[0]}\n`
const load = (content: string, expectedRecords: number, more: Record<string, string> = {}) =>
  system.import(content, { dataset: 'production', expectedRecords: String(expectedRecords), ...more })
const rowsOf = async (day: string) =>
  (await system.database.pool.query('select from fact_production where fecha_contabilizacion = $1', [day]))
    .rowCount

describe('an import with an expected number of records', () => {
  test('loads them when the file has that number', async () => {
    const job = await load(productionFile('2024-01-01,L1', '2024-01-01,L2'), 2)
    expect(job).toMatchObject({ status: 'COMPLETED', counts: { records: 2, loaded: 2 } })
  })

  test.each([
    ['more', 1],
    ['fewer', 3],
    ['none', 0],
  ])('loads nothing when it expects %s, and reports how many there are', async (_what, expected) => {
    const day = `2024-02-0${expected + 1}`
    const job = await load(productionFile(`${day},L1`, `${day},L2`), expected)
    expect(job).toMatchObject({
      status: 'FAILED',
      error: {
        code: 'record_count_differs',
        stage: 'parse',
        detail: `The file has 2 records, but expectedRecords (--expect-records) is ${expected}. Nothing was changed. Send the whole file, or correct the number.`,
      },
    })
    expect(job.artifacts.map(({ name }) => name)).toContain('original')
    expect(await rowsOf(day)).toBe(0)
  })

  test('counts rejected records, too', async () => {
    const good = productionFile('2024-03-01,L1', '2024-03-01,L2', '2024-03-01,L3', '2024-03-01,L4')
    const bad = good.replace(/\n?$/, '\n2024-13-01;M001;W0001;1;x;bad;1;1;\n')
    expect(await load(bad, 5)).toMatchObject({
      status: 'COMPLETED',
      counts: { records: 5, loaded: 4, quarantined: 1 },
    })
  })

  test('empties its declared window when it expects no record and has none', async () => {
    await system.import(productionFile('2024-04-01,L1', '2024-04-02,L2'), { dataset: 'production' })
    const window = { from: '2024-04-01', to: '2024-04-02' }
    expect(await load(HEADER, 0, window)).toMatchObject({
      status: 'COMPLETED',
      counts: { records: 0, loaded: 0, removed: 1 },
    })
    expect([await rowsOf('2024-04-01'), await rowsOf('2024-04-02')]).toEqual([0, 1])
  })

  test('fails without records when it does not expect that', async () => {
    const job = await system.import(`${HEADER}\n`, { dataset: 'production', force: 'true' })
    expect(job).toMatchObject({ status: 'FAILED', error: { code: 'no_records' } })
  })
})
