import type pg from 'pg'

/** Nothing is under way any more. A run that waits for datasets is not under way; one whose time is over is about to expire. */
const SETTLED = `not exists (select from jobs where completed_at is null)
  and not exists (select from dataset_updates where fanned_out_at is null)
  and not exists (select from event_log where outbound and sent_at is null)
  and not exists (select from metric_runs where status in ('REQUESTED', 'RUNNING', 'TIMED_OUT'))
  and not exists (select from metric_runs r where status = 'PENDING' and (expires_at <= now() or not exists (
    select from metric_run_pending_datasets p where p.run_id = r.id and p.satisfied_by is null)))`

/** Whether jobs, updates, requests and runs of metrics have all come to their end, or wait for what is yet to come. */
export async function isSettled(pool: pg.Pool): Promise<boolean> {
  return (await pool.query<{ yes: boolean }>(`select (${SETTLED}) as yes`)).rows[0]?.yes === true
}
