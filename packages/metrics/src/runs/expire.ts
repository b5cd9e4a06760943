import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { endRuns, type RunEnding } from './end.ts'
import { lockRuns, lockWithDependents } from './locks.ts'

interface OverdueRun {
  runId: string
  metricId: string
  attempt: number
  waitedFor: string[]
}

/**
 * Expires pending runs whose datasets did not arrive in time, and records the missing datasets in the run and the
 * log. When a dataset arrives later, the next run of the metric takes over their days. Runs that wait only for other
 * metrics do not expire. Call it every few seconds, in a transaction of its own. Returns the ids of the expired runs.
 */
export async function expirePendingRuns(tx: Tx, now = new Date()): Promise<string[]> {
  const found = await findOverdue(tx, now)
  if (found.length === 0) return []
  const locked = await lockWithDependents(tx, [...new Set(found.map(({ metricId }) => metricId))])
  await lockRuns(tx, found, locked)
  const overdue = (await findOverdue(tx, now)).filter(({ metricId }) => locked.includes(metricId))
  const { ended } = await endRuns(tx, overdue.map(ending), locked)
  return ended
}

function ending({ runId, attempt, waitedFor }: OverdueRun): RunEnding {
  const detail = `No update of ${waitedFor.join(', ')} arrived in time.`
  const error = { code: 'expired', detail, waitedFor }
  return { id: runId, attempt, to: 'EXPIRED', error, waitedFor }
}

async function findOverdue(tx: Tx, now: Date): Promise<OverdueRun[]> {
  const rows = await sql<{ id: string; metric_id: string; attempt: number; waited_for: string[] }>`
    select r.id, r.metric_id, r.attempt, array_agg(d.code order by d.code) as waited_for
    from metric_runs r join metric_run_pending_datasets p on p.run_id = r.id and p.satisfied_by is null
      join datasets d on d.id = p.dataset_id
    where r.status = 'PENDING' and r.expires_at <= ${now.toISOString()}::timestamptz
    group by r.id`.execute(tx)
  return rows.rows.map((row) => ({
    runId: row.id,
    metricId: row.metric_id,
    attempt: row.attempt,
    waitedFor: row.waited_for,
  }))
}
