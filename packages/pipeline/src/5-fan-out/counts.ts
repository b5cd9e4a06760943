import { Counts } from '@aduana/contracts/counts'
import type { Tx } from '@aduana/db/database'

const NAMES = [
  'records',
  'loaded',
  'inserted',
  'updated',
  'unchanged',
  'removed',
  'quarantined',
  'duplicates',
  'conflicts',
] as const

/** The figures of a job as they stand. */
export async function readCounts(tx: Tx, jobId: string): Promise<Counts> {
  const row = await tx
    .selectFrom('jobs')
    .select([...NAMES])
    .where('id', '=', jobId)
    .executeTakeFirstOrThrow()
  return Counts.parse(
    Object.fromEntries(NAMES.map((name) => [name, row[name] === null ? null : Number(row[name])])),
  )
}
