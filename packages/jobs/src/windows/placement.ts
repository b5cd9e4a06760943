import { OPEN_JOBS } from '@aduana/contracts/job-states'
import { ProblemError } from '@aduana/contracts/problems'
import { placementOf } from '@aduana/datasets/placement'
import { type RegisteredDataset, readDefinition } from '@aduana/datasets/registry'
import { dayAndScope, targetTable } from '@aduana/datasets/target'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'

/** Maximum number of jobs that an error names. */
const SHOWN = 20

/**
 * Checks that a dataset has no open job, before its days, time zone or scopes change. An open job locks, replaces and
 * reports days and scopes of its own version.
 * @throws ProblemError `dataset_busy` with the `jobs`
 */
export async function assertNoActiveJobs(
  tx: Tx,
  { id, code }: Pick<RegisteredDataset, 'id' | 'code'>,
): Promise<void> {
  const rows = await tx
    .selectFrom('jobs')
    .select('id')
    .where('dataset_id', '=', id)
    .where('status', 'in', OPEN_JOBS)
    .orderBy('created_at')
    .limit(SHOWN)
    .execute()
  if (rows.length === 0) return
  const jobs = rows.map((row) => row.id)
  throw new ProblemError(
    'dataset_busy',
    `The days, the time zone or the scopes of ${code} cannot change while the dataset has open jobs: ${jobs.join(', ')}. Wait until they have ended, or cancel them.`,
    { jobs },
  )
}

/**
 * Locks the dataset of a job until the transaction ends, so that its definition cannot change. Returns its id, and whether
 * its rows have `moved`: whether they belong to other days or scopes than when the job was accepted. Must be called before
 * the job is locked.
 */
export async function lockDatasetOfJob(
  tx: Tx,
  jobId: string,
): Promise<{ datasetId: string; moved: boolean } | undefined> {
  const rows = await sql<{ id: string; version: number | null; current: number }>`
    select d.id, i.dataset_version as version, d.current_version as current
    from jobs j join datasets d on d.id = j.dataset_id
      left join imports i on i.job_id = case j.type when 'undo' then j.parent_id else j.id end
    where j.id = ${jobId} for share of d`.execute(tx)
  const [found] = rows.rows
  if (!found) return undefined
  const { id, version, current } = found
  return { datasetId: id, moved: version !== null && (await hasMoved(tx, id, version, current)) }
}

/** Returns whether any later version moved rows, even if a still later one reverted it: other rows have moved meanwhile. */
async function hasMoved(tx: Tx, id: string, since: number, current: number): Promise<boolean> {
  const own = placementOf(await readDefinition(tx, id, since))
  for (let version = since + 1; version <= current; version++)
    if (placementOf(await readDefinition(tx, id, version)) !== own) return true
  return false
}

/**
 * Rebuilds the window ledger of a dataset from its rows, after a change of its days or scopes. Each day belongs to the
 * import that was the last to load rows of it.
 */
export async function rebuildLedger(tx: Tx, dataset: RegisteredDataset): Promise<void> {
  const { id, definition } = dataset
  await tx.deleteFrom('window_ledger').where('dataset_id', '=', id).execute()
  const where = dayAndScope(definition)
  if (!where) return
  const number = definition.loadMode === 'upsert' ? sql.ref('import_no') : sql`(id >> 32)`
  await sql`
    with counted as (
      select ${sql.raw(where.scope)} as scope, ${sql.raw(where.day)} as day, ${number} as import_no, count(*) as rows
      from ${sql.raw(targetTable(definition))} group by 1, 2, 3
    )
    insert into window_ledger (dataset_id, scope, day, job_id, rows)
    select ${id}::uuid, c.scope, c.day,
      (array_agg(j.id order by j.loaded_at desc, i.import_no desc) filter (where j.id is not null))[1], sum(c.rows)
    from counted c left join imports i on i.import_no = c.import_no and i.dataset_id = ${id}
      left join jobs j on j.id = i.job_id
    group by c.scope, c.day having count(j.id) > 0`.execute(tx)
}
