import type pg from 'pg'

interface OpenRun {
  id: string
  attempt: number
  job_id: string | null
}

/** Returns the only open run of a metric. @throws Error when there is none, or more than one */
export async function openRun(pool: pg.Pool, metric: string): Promise<OpenRun> {
  const { rows } = await pool.query<OpenRun>(
    `select r.id, r.attempt, r.job_id from metric_runs r join metrics m on m.id = r.metric_id
     where m.code = $1 and r.status in ('PENDING', 'REQUESTED', 'RUNNING', 'TIMED_OUT')`,
    [metric],
  )
  const [run] = rows
  if (!run || rows.length > 1) throw new Error(`"${metric}" has ${rows.length} open runs`)
  return run
}
