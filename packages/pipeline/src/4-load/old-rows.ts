import { anyRows, copyOut, listColumns } from '@aduana/datasets/target'
import type pg from 'pg'
import { z } from 'zod'
import type { StageJob } from '../stage.ts'
import { copyToFile } from './copy-to-file.ts'
import { interruptible } from './interruptible.ts'
import type { ScopeDays } from './plan.ts'
import { selectionsOf } from './plan.ts'

const Found = z.tuple([z.object({ found: z.boolean() })])
const Names = z.array(z.object({ name: z.string() }))

/**
 * Copies the rows that a load replaces to one local CSV file with a header (NULL is empty, the empty text is `""`).
 * Returns the number of rows; without any, there is no file. The rows cannot change while the job holds its windows.
 */
export async function copyOldRows(
  job: StageJob,
  client: pg.PoolClient,
  replaced: readonly ScopeDays[],
  path: string,
  options: { gzip?: boolean } = {},
): Promise<number> {
  const { definition } = job.facts
  const selections = selectionsOf(job, replaced)
  return interruptible(job, client, async () => {
    const [{ found }] = Found.parse((await client.query(anyRows(definition, selections))).rows)
    if (!found) return 0
    const columns = Names.parse((await client.query(listColumns(definition))).rows).map(({ name }) => name)
    return copyToFile(client, copyOut(definition, columns, selections), path, options)
  })
}
