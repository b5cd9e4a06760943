import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { createMembers, selectMembers } from '../dimensions.ts'
import { compileLoadFile } from '../load-file.ts'
import { distinctMembers, type MemberFile } from '../members.ts'
import type { TestPostgres } from './postgres.ts'
import { type TestDuck, type TextRecord, validateIn } from './validate.ts'

interface Services {
  duck: TestDuck
  postgres: TestPostgres
}

/** Creates the members for the codes of a clean file and returns their files. */
async function members(
  { duck, postgres }: Services,
  definition: DatasetDefinition,
  clean: string,
  jobId: string,
): Promise<MemberFile[]> {
  const files: MemberFile[] = []
  for (const dimension of distinctMembers(definition, clean)) {
    const answers = await duck.run([dimension.statement])
    const codes = (answers[dimension.statement.name]?.rows ?? []).map(({ code }) => String(code))
    const create = createMembers(dimension, codes, jobId)
    await postgres.client.query(create.text, create.values)
    const select = selectMembers(dimension, codes)
    const { rows: found } = await postgres.client.query(select.text, select.values)
    const file = join(duck.folder, `${dimension.table}.ndjson`)
    await writeFile(file, found.map((row) => `${JSON.stringify(row)}\n`).join(''))
    files.push({ column: dimension.column, file })
  }
  return files
}

/** Validates records and writes their COPY file. */
export async function prepare(
  services: Services,
  definition: DatasetDefinition,
  records: readonly TextRecord[],
  importNo: number,
  jobId: string = randomUUID(),
) {
  const { duck } = services
  const { totals, cleanFile: clean } = await validateIn(duck, definition, records)
  const output = join(duck.folder, 'load.csv')
  const dimensions = await members(services, definition, clean, jobId)
  const { statements } = compileLoadFile(definition, { clean, dimensions, importNo, jobId, output })
  await duck.run(statements)
  return { output, good: totals.good, jobId }
}
