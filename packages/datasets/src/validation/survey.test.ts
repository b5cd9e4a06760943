import { join } from 'node:path'
import { LONG } from '@aduana/testkit/long'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fileColumns } from '../header.ts'
import { lit } from '../literals.ts'
import { type ColumnInput, definitionWith } from '../testing/definitions.ts'
import { filesOfAnyDefinition } from '../testing/hostile-files.ts'
import { openTestDuck, type TestDuck, type Validated, validateIn } from '../testing/validate.ts'
import { surveyFile } from './survey.ts'

let duck: TestDuck
beforeAll(async () => {
  duck = await openTestDuck()
})
afterAll(async () => {
  await duck.close()
})

const COLUMNS: ColumnInput[] = [
  { name: 'code', type: 'text', required: true },
  { name: 'note', type: 'text', nullWords: [] },
  { name: 'weight', type: 'decimal', precision: 9, scale: 3, decimalMark: 'either' },
  { name: 'pieces', type: 'integer' },
  { name: 'day', type: 'date', formats: ['DD/MM/YYYY', 'YYYY-MM-DD'] },
]
const definition = definitionWith(COLUMNS, { unique: { columns: ['code'] } })
const names = COLUMNS.map(({ name }) => name)
const plain = { code: 'A-1', note: 'Señor Núñez, 3 € – “ok”', weight: '12', pieces: '3', day: '2026-01-31' }

async function survey(record: Record<string, string>, brought = names) {
  const parsed = join(duck.folder, 'surveyed.parquet')
  const cells = (its: Record<string, string>) => brought.map((name) => `${lit(its[name] ?? '')} as "${name}"`)
  const rows = [plain, { ...plain, ...record }].map((its) => `select ${cells(its).join(', ')}`)
  await duck.rows(`copy (${rows.join(' union all ')}) to ${lit(parsed)} (format parquet)`)
  const found = await surveyFile(duck.run, definition, { parsed, columns: brought })
  return { careful: [...found.careful], telling: [...found.telling] }
}

describe('a survey', () => {
  test('finds nothing in plain texts', async () => {
    expect(await survey({})).toEqual({ careful: [], telling: [] })
  })

  test.each([
    [{ code: ' A-1' }, ['code']],
    [{ code: 'A-1\t' }, ['code']],
    [{ code: 'A\u200b1' }, ['code']],
    [{ code: '="001"' }, ['code']],
    [{ code: '4.68769E+11' }, ['code']],
    [{ note: '#N/A' }, ['note']],
    [{ note: 'e\u0301' }, ['note']],
    [{ note: 'A\u200d' }, ['note']],
    [{ weight: '1\u00a0234' }, ['weight', 'pieces']],
    [{ pieces: '\\N' }, ['weight', 'pieces']],
    [{ day: 'Err:502' }, ['day']],
    [{ code: 'A-1 ', day: ' 2026-01-31' }, ['code', 'day']],
  ])('finds that %j affects its columns and those of the same kind', async (record, careful) => {
    expect((await survey(record)).careful).toEqual(careful)
  })

  test.each([
    [{ weight: '1,5' }, ['weight']],
    [{ day: '31/01/2026' }, ['day']],
    [{ pieces: '1.0' }, []],
  ])('finds the columns in which %j may decide', async (record, telling) => {
    expect((await survey(record)).telling).toEqual(telling)
  })

  test('covers the columns of the file', async () => {
    expect(await survey({ note: ' x', day: ' x' }, ['code', 'day'])).toEqual({
      careful: ['day'],
      telling: ['day'],
    })
  })
})

/** Without the columns that have a declared reading which no cell contradicts: nothing is decided about them. */
const withoutDeclared = (its: Validated) => ({
  ...its,
  decisions: its.decisions.filter(({ by, contradicting }) => by !== 'declared' || contradicting > 0),
})

test('the columns that a survey omits do not change the result of a validation', async () => {
  await fc.assert(
    fc.asyncProperty(filesOfAnyDefinition, async ([its, records]) => {
      const all = new Set(fileColumns(its).map(({ name }) => name))
      const everything = { survey: { careful: all, telling: all } }
      const surveyed = withoutDeclared(await validateIn(duck, its, records))
      expect(surveyed).toEqual(withoutDeclared(await validateIn(duck, its, records, everything)))
    }),
    { numRuns: LONG ? 200 : 15 },
  )
})
