import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import { type RawBuilder, sql } from 'kysely'
import { type Cutoff, cutoffOf } from './cutoff.ts'
import { hasOpenRejects, isBeyondUndo, type Keeping, keepings } from './due.ts'

const JOBS_AT_ONCE = 200
/** A job may have as many rejects as its dataset lets it store. */
const REJECTING_JOBS_AT_ONCE = 10

/** Numbers of removed rows, by kind. */
export interface PrunedOfJobs {
  ledgerBefore: number
  stageAttempts: number
  previews: number
  rejects: number
}

/**
 * Removes the rows of jobs that are past their retention; the jobs themselves stay. By dataset: the rows that an undo
 * needs, once its imports can no longer be undone, and the rejects that nothing can reopen. Of all jobs: stage attempts and
 * previews, the given number of days after the end. Rows that a retry or an undo still needs stay. Returns the numbers of
 * removed rows.
 */
export async function pruneJobs(db: Database, cutoff: Cutoff): Promise<PrunedOfJobs> {
  const pruned = { ledgerBefore: 0, stageAttempts: 0, previews: 0, rejects: 0 }
  for (const keeping of await keepings(db, cutoff.now)) {
    pruned.ledgerBefore += await inBatches(db, (tx) => pruneUndo(tx, keeping))
    pruned.rejects += await inBatches(db, (tx) => pruneRejects(tx, keeping))
    pruned.stageAttempts += await inBatches(db, (tx) => pruneStageAttempts(tx, keeping, cutoff))
  }
  pruned.previews = await inBatches(db, (tx) => prunePreviews(tx, cutoff))
  return pruned
}

/** Calls `step`, each time in a transaction of its own, until it finds no job. Returns the sum of the rows. */
async function inBatches(db: Database, step: (tx: Tx) => Promise<Batch>): Promise<number> {
  let rows = 0
  for (;;) {
    const batch = await inTransaction(db, step)
    rows += batch.rows
    if (batch.jobs === 0) return rows
  }
}

interface Batch {
  jobs: number
  rows: number
}

const NOTHING: Batch = { jobs: 0, rows: 0 }

/**
 * Locks jobs that have rows to remove, in the order in which they ended, and returns their ids. The rows are selected again
 * under the lock, so no retry or undo can begin in between. Jobs that others have locked are left for the next night.
 */
async function lockJobs(tx: Tx, condition: RawBuilder<unknown>, limit: number): Promise<string[]> {
  const jobs = await sql<{
    id: string
  }>`select j.id from jobs j where j.completed_at is not null and ${condition}
    order by j.completed_at limit ${limit} for no key update skip locked`.execute(tx)
  return jobs.rows.map(({ id }) => id)
}

const ofDataset = ({ datasetId }: Keeping) => sql`j.dataset_id is not distinct from ${datasetId}::uuid`

/**
 * Removes the ledger rows that an undo needs, and from the stage result the number of rows that the load replaced. If
 * `undoDays` is raised later, an undo of such an import is then refused as expired.
 */
async function pruneUndo(tx: Tx, keeping: Keeping): Promise<Batch> {
  const over = sql`${ofDataset(keeping)} and ${isBeyondUndo(keeping)}
    and exists (select from window_ledger_before b where b.job_id = j.id)`
  const ids = await lockJobs(tx, over, JOBS_AT_ONCE)
  if (ids.length === 0) return NOTHING
  await sql`update stage_results set output = output - 'beforeRows'
    where job_id = any (${ids}::uuid[]) and stage = 'load' and state = 'done'`.execute(tx)
  const gone = await sql`delete from window_ledger_before where job_id = any (${ids}::uuid[])`.execute(tx)
  return { jobs: ids.length, rows: Number(gone.numAffectedRows ?? 0n) }
}

async function pruneRejects(tx: Tx, keeping: Keeping): Promise<Batch> {
  const { retention, now } = keeping
  const over = sql`${ofDataset(keeping)} and j.completed_at < ${cutoffOf({ days: retention.rejects, now })}
    and exists (select from quarantined_records q where q.job_id = j.id)
    and not ${hasOpenRejects(keeping)}`
  const ids = await lockJobs(tx, over, REJECTING_JOBS_AT_ONCE)
  if (ids.length === 0) return NOTHING
  const gone = await sql`delete from quarantined_records where job_id = any (${ids}::uuid[])`.execute(tx)
  return { jobs: ids.length, rows: Number(gone.numAffectedRows ?? 0n) }
}

/**
 * Removes the stage attempts that did not complete, and all attempts of jobs that can be neither retried nor undone. A
 * failed job keeps its completed attempts, because a retry continues after them.
 */
async function pruneStageAttempts(tx: Tx, keeping: Keeping, cutoff: Cutoff): Promise<Batch> {
  const goes = sql`(s.state not in ('running', 'done') or j.status = 'CANCELLED'
    or (j.status = 'COMPLETED' and (j.loaded_at is null or j.batch_deleted or (${isBeyondUndo(keeping)}
      and not exists (select from window_ledger_before b where b.job_id = j.id)))))`
  const over = sql`${ofDataset(keeping)} and j.completed_at < ${cutoffOf(cutoff)}
    and exists (select from stage_results s where s.job_id = j.id and ${goes})`
  const ids = await lockJobs(tx, over, JOBS_AT_ONCE)
  if (ids.length === 0) return NOTHING
  const gone = await sql`delete from stage_results s using jobs j
    where j.id = s.job_id and j.id = any (${ids}::uuid[]) and ${goes}`.execute(tx)
  return { jobs: ids.length, rows: Number(gone.numAffectedRows ?? 0n) }
}

async function prunePreviews(tx: Tx, cutoff: Cutoff): Promise<Batch> {
  const over = sql`j.completed_at < ${cutoffOf(cutoff)}
    and exists (select from load_previews p where p.job_id = j.id)`
  const ids = await lockJobs(tx, over, JOBS_AT_ONCE)
  if (ids.length === 0) return NOTHING
  const gone = await sql`delete from load_previews where job_id = any (${ids}::uuid[])`.execute(tx)
  return { jobs: ids.length, rows: Number(gone.numAffectedRows ?? 0n) }
}
