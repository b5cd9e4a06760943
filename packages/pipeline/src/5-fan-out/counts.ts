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

/** Returns the current counts of a job. */
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
