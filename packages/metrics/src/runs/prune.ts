import { ENDED_RUNS, UNSUCCESSFUL_RUNS } from '@aduana/contracts/metrics/runs'
import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import { literals } from '@aduana/db/literals'
import { type Cutoff, cutoffOf } from '@aduana/jobs/retention/cutoff'
import { sql } from 'kysely'
import { z } from 'zod'
import { isUnresolved } from '../read/completeness.ts'

const BATCH = 500

const RunPage = z.array(z.object({ id: z.uuid(), createdAt: z.string() }))
type Place = z.infer<typeof RunPage>[number]

/**
 * Removes runs that ended before the cutoff, with their inputs and the datasets that they waited for, in batches,
 * oldest first. Returns how many were removed. A run stays
 *
 * - while stored values of its metric are its own;
 * - while its days are unresolved, or it resolves those of an earlier run;
 * - while an earlier run names it as its successor, or the import of its results is open;
 * - while its request has not been sent;
 * - while it is the last run of its metric, or the last one that succeeded.
 */
export async function pruneRuns(db: Database, cutoff: Cutoff): Promise<number> {
  let after: Place | undefined
  let removed = 0
  for (;;) {
    const page = await readPage(db, cutoff, after)
    after = page.at(-1)
    if (after === undefined) return removed
    const ids = page.map(({ id }) => id)
    removed += await inTransaction(db, (tx) => removeRuns(tx, cutoff, ids))
  }
}

async function readPage(db: Database, cutoff: Cutoff, after: Place | undefined): Promise<Place[]> {
  const rows = await sql`select id, created_at::text as "createdAt" from metric_runs
    where created_at < ${cutoffOf(cutoff)} and (${after?.id ?? null}::uuid is null
      or (created_at, id) > (${after?.createdAt ?? null}::timestamptz, ${after?.id ?? null}::uuid))
    order by created_at, id limit ${BATCH}`.execute(db)
  return RunPage.parse(rows.rows)
}

/** Removes due runs. Locked runs, such as one that is being retried, are left for the next night. */
async function removeRuns(tx: Tx, cutoff: Cutoff, ids: readonly string[]): Promise<number> {
  const due = await sql<{ id: string }>`select r.id from metric_runs r join metrics m on m.id = r.metric_id
    where r.id = any (${ids}::uuid[]) and r.status in (${literals(ENDED_RUNS)})
      and r.completed_at < ${cutoffOf(cutoff)}
      and not exists (select from daily_metrics d where d.run_id = r.id)
      and not exists (select from metric_runs e where e.taken_over_by = r.id)
      and not exists (select from event_log e where e.sent_at is null
        and e.event_key = r.id || ':' || r.attempt || ':requested')
      and not exists (select from jobs j where j.id = r.job_id and j.completed_at is null)
      and (m.retired_at is not null or not (${isUnresolved} or ${supersedesFailure}))
      and exists (select from metric_runs n where n.metric_id = r.metric_id and n.created_at > r.created_at
        and (r.status <> 'SUCCEEDED' or n.status = 'SUCCEEDED'))
    order by r.id for update of r skip locked`.execute(tx)
  const gone = await sql`delete from metric_runs
    where id = any (${due.rows.map(({ id }) => id)}::uuid[])`.execute(tx)
  return Number(gone.numAffectedRows ?? 0n)
}

/** SQL: without the run `r`, an earlier run may become unresolved again. That one is removed first. */
const supersedesFailure = sql<boolean>`(r.status = 'SUCCEEDED' and exists (select from metric_runs f
  where f.metric_id = r.metric_id and f.status in (${literals(UNSUCCESSFUL_RUNS)}) and f.taken_over_by is null
    and f.completed_at <= r.completed_at and r.days @> f.days))`
