import type { TestSystem } from '@aduana/testkit/system'
import { z } from 'zod'

/** What must not exist once all jobs have ended, as queries that return a row `{what}` for each. */
const LEFTOVERS: Record<string, string> = {
  'unfinished jobs': `select id || ' ' || type || ' ' || status || ' ' || coalesce(stage, '-') || ' '
      || coalesce('waits for ' || waiting_for, '') || ' attempt ' || attempt || ': ' || message as what
    from jobs where completed_at is null`,
  locks: `select l.job_id || ' ' || j.status || ' ' || l.days || ' ' || l.scope as what
    from window_locks l join jobs j on j.id = l.job_id`,
  waiters: `select w.job_id || ' ' || j.status || ' ' || w.days as what from window_waiters w join jobs j on j.id = w.job_id`,
  leases: `select l.job_id || ' ' || j.status as what from window_leases l join jobs j on j.id = l.job_id`,
  'running stages': `select s.job_id || ' ' || s.stage || ' of a job that is ' || j.status as what
    from stage_results s join jobs j on j.id = s.job_id where s.state = 'running'`,
  'tables of loads': `select c.oid::regclass::text as what from pg_class c
    where c.relkind = 'r' and not c.relispartition and c.relname ~ '^load_[0-9]'`,
  'updates not fanned out': `select id::text as what from dataset_updates where fanned_out_at is null`,
  'events not sent': `select event_key || ': ' || coalesce(send_error, '') as what from event_log
    where outbound and sent_at is null`,
  'open runs of metrics': `select r.id || ' ' || m.code || ' ' || r.status as what from metric_runs r
    join metrics m on m.id = r.metric_id where r.status in ('REQUESTED', 'RUNNING', 'TIMED_OUT')`,
  'sessions in a transaction': `select pid || ' ' || application_name || ': ' || left(query, 100) as what
    from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'
      and state_change < clock_timestamp() - interval '5 seconds'`,
}

const Places = z.array(z.object({ what: z.string() }))

/** Returns what is left over, by kind; kinds without leftovers do not appear. */
export async function findLeftovers(system: TestSystem): Promise<Record<string, string[]>> {
  const left: Record<string, string[]> = {}
  for (const [kind, query] of Object.entries(LEFTOVERS)) {
    const places = Places.parse((await system.database.pool.query(query)).rows).map(({ what }) => what)
    if (places.length > 0) left[kind] = places
  }
  const strays = await findStrays(system)
  if (strays.length > 0) left['files without a job'] = strays
  return left
}

/** Returns the files of the store that no job references. Housekeeping removes them once they are an hour old. */
async function findStrays({ database, store }: TestSystem): Promise<string[]> {
  const rows = await database.pool.query<{ key: string }>(
    'select key from artifacts where removed_at is null',
  )
  const known = new Set(rows.rows.map(({ key }) => key))
  const strays: string[] = []
  for await (const { key } of store.list('jobs')) if (!known.has(key)) strays.push(key)
  return strays
}
