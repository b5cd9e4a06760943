import { join } from 'node:path'
import { type DatasetDefinition, maxLengthOf } from '@aduana/contracts/dataset-definition'
import { LONG } from '@aduana/testkit/long'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { quoteIdentifier } from './literals.ts'
import { compileLoadFile } from './load-file.ts'
import { copyIn, targetColumns } from './target.ts'
import { filesOfAnyDefinition } from './testing/hostile-files.ts'
import { openTestPostgres, type TestPostgres } from './testing/postgres.ts'
import { openTestDuck, validateIn } from './testing/validate.ts'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await openTestPostgres()
})
afterAll(async () => {
  await postgres.close()
})

/** A table whose own types and constraints refuse whatever the rules should have refused. */
async function createTable(definition: DatasetDefinition): Promise<void> {
  const columns = targetColumns(definition).map(({ name, source }) => {
    const type = source === null ? 'bigint' : columnType(source)
    return `${quoteIdentifier(name)} ${type}${source?.required ? ' not null' : ''}`
  })
  const unique = definition.unique?.columns.map(quoteIdentifier).join(', ')
  await postgres.client.query('drop table if exists things')
  await postgres.client.query(
    `create table things (${columns.join(', ')}, primary key (id)${unique ? `, unique nulls not distinct (${unique})` : ''})`,
  )
}

function columnType(column: DatasetDefinition['columns'][number]): string {
  switch (column.type) {
    case 'text':
      return `varchar(${maxLengthOf(column)})`
    case 'integer':
      return { 16: 'smallint', 32: 'integer', 64: 'bigint' }[column.bits]
    case 'decimal':
      return `numeric(${column.precision},${column.scale})`
    case 'timestamp':
      return 'timestamptz'
    default:
      return column.type
  }
}

const isConflict = ({ code }: { code: string }) => code === 'conflict'

test('for any definition and values, each record is clean, rejected, a duplicate or a conflict, and PostgreSQL accepts the clean ones', async () => {
  await fc.assert(
    fc.asyncProperty(filesOfAnyDefinition, async ([definition, records]) => {
      const duck = await openTestDuck()
      try {
        const result = await validateIn(duck, definition, records)
        const ended = [
          ...result.clean.map(({ _rec }) => Number(_rec)),
          ...result.bad.map(({ record }) => record),
          ...result.duplicates.map(({ record }) => record),
          ...result.conflicts.flatMap(({ record, reasons }) => (reasons.some(isConflict) ? [record] : [])),
        ]
        expect(ended.sort((a, b) => a - b)).toEqual(records.map((_, index) => index + 1))
        expect(result.totals).toEqual({
          records: records.length,
          good: result.clean.length,
          rejected: result.bad.length,
          duplicates: result.duplicates.length,
          conflicts: result.conflicts.filter(({ reasons }) => reasons.some(isConflict)).length,
        })
        expect(result.bad.every(({ reasons }) => reasons.length > 0)).toBe(true)
        await createTable(definition)
        const output = join(duck.folder, 'load.csv')
        const { statements } = compileLoadFile(definition, {
          clean: result.cleanFile,
          dimensions: [],
          importNo: 1,
          jobId: 'x',
          output,
        })
        await duck.run(statements)
        expect(await postgres.copy(copyIn(definition), output)).toBe(result.clean.length)
      } finally {
        await duck.close()
      }
    }),
    { numRuns: LONG ? 200 : 25 },
  )
})
