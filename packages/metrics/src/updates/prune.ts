import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import { type Cutoff, cutoffOf } from '@aduana/jobs/retention/cutoff'
import { sql } from 'kysely'
import { z } from 'zod'

const BATCH = 1000

const UpdatePage = z.array(z.object({ id: z.uuid(), createdAt: z.string() }))
type Place = z.infer<typeof UpdatePage>[number]

/**
 * Removes dataset updates that arrived before the cutoff and were fanned out, in batches, oldest first. An update
 * stays while a kept run was computed from it or waited for it, while a metric may still require it as fresh, while
 * it is the last of its dataset, and while a job of its dataset waits for approval, because the approval depends on
 * it. Returns how many were removed.
 */
export async function pruneUpdates(db: Database, cutoff: Cutoff): Promise<number> {
  const datasets = await db.selectFrom('datasets').select('id').execute()
  let removed = 0
  for (const { id } of datasets) removed += await pruneUpdatesOf(db, id, cutoff)
  return removed
}

async function pruneUpdatesOf(db: Database, datasetId: string, cutoff: Cutoff): Promise<number> {
  let after: Place | undefined
  let removed = 0
  for (;;) {
    const page = await readPage(db, datasetId, cutoff, after)
    after = page.at(-1)
    if (after === undefined) return removed
    const ids = page.map(({ id }) => id)
    removed += await inTransaction(db, (tx) => removeUpdates(tx, datasetId, cutoff, ids))
  }
}

async function readPage(
  db: Database,
  datasetId: string,
  cutoff: Cutoff,
  after: Place | undefined,
): Promise<Place[]> {
  const rows = await sql`select id, created_at::text as "createdAt" from dataset_updates
    where dataset_id = ${datasetId} and created_at < ${cutoffOf(cutoff)} and (${after?.id ?? null}::uuid is null
      or (created_at, id) > (${after?.createdAt ?? null}::timestamptz, ${after?.id ?? null}::uuid))
    order by created_at, id limit ${BATCH}`.execute(db)
  return UpdatePage.parse(rows.rows)
}

async function removeUpdates(
  tx: Tx,
  datasetId: string,
  cutoff: Cutoff,
  ids: readonly string[],
): Promise<number> {
  const due = await sql<{ id: string }>`select u.id from dataset_updates u
    where u.id = any (${ids}::uuid[]) and u.fanned_out_at is not null
      and u.occurred_at < ${cutoffOf(cutoff)} - interval '24 hours' * coalesce(
        (select max(required_days) from metric_dependencies where dataset_id = ${datasetId}), 0)
      and exists (select from dataset_updates n where n.dataset_id = u.dataset_id and n.occurred_at > u.occurred_at)
      and not exists (select from run_dataset_updates i where i.update_id = u.id)
      and not exists (select from metric_run_pending_datasets p where p.satisfied_by = u.id)
      and not exists (select from jobs j where j.id = u.job_id and j.completed_at is null)
      and not exists (select from jobs j where j.dataset_id = u.dataset_id and j.completed_at is null
        and j.approval_asked_at is not null)
    order by u.id for update skip locked`.execute(tx)
  const gone = await sql`delete from dataset_updates
    where id = any (${due.rows.map(({ id }) => id)}::uuid[])`.execute(tx)
  return Number(gone.numAffectedRows ?? 0n)
}
