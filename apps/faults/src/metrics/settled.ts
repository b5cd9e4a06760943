import type pg from 'pg'

/** All work has ended. A run that waits for datasets counts as ended until it is due to expire. */
const SETTLED = `not exists (select from jobs where completed_at is null)
  and not exists (select from dataset_updates where fanned_out_at is null)
  and not exists (select from event_log where outbound and sent_at is null)
  and not exists (select from metric_runs where status in ('REQUESTED', 'RUNNING', 'TIMED_OUT'))
  and not exists (select from metric_runs r where status = 'PENDING' and (expires_at <= now() or not exists (
    select from metric_run_pending_datasets p where p.run_id = r.id and p.satisfied_by is null)))`

/** Returns whether all jobs, updates, requests and runs have ended, or wait for other datasets. */
export async function isSettled(pool: pg.Pool): Promise<boolean> {
  return (await pool.query<{ yes: boolean }>(`select (${SETTLED}) as yes`)).rows[0]?.yes === true
}
