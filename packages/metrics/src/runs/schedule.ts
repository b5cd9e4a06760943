import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { bringChange, type Change, type Taken } from './coalesce.ts'
import { logEvents } from './event-log.ts'
import { releaseRuns } from './release.ts'

export interface BroughtChange {
  change: Change
  metricIds: readonly string[]
}

/** What was decided about the runs of metrics: ids of runs. */
export interface Decided {
  /** Asked for. */
  requested: string[]
  /** New, and waiting for datasets or for metrics beneath. */
  pending: string[]
  /** Open before, and given more to do. */
  merged: string[]
  /** To which runs the changes went, in their order. */
  taken: readonly Taken[]
}

/**
 * Bring changes to metrics and ask for every run of `metricIds` that waits for nothing any more. The caller holds the
 * locks of all of them; `metricIds` contains the metrics of the changes.
 */
export async function settle(
  tx: Tx,
  changes: readonly BroughtChange[],
  metricIds: readonly string[],
): Promise<Decided> {
  const taken: Taken[] = []
  for (const { change, metricIds: metrics } of changes)
    taken.push(...(await bringChange(tx, change, metrics)))
  const requested = await releaseRuns(tx, metricIds)
  const fresh = new Set(taken.filter((run) => run.fresh).map(({ run_id }) => run_id))
  const asked = new Set(requested)
  const pending = [...fresh].filter((id) => !asked.has(id))
  const merged = new Set(taken.map(({ run_id }) => run_id).filter((id) => !fresh.has(id)))
  await logPending(tx, pending)
  return { requested, pending, merged: [...merged], taken }
}

interface PendingRow {
  id: string
  metric: string
  as_of: string
  cause: Change['cause']
  expires_at: Date
  waits_for: string[]
}

async function logPending(tx: Tx, runIds: readonly string[]): Promise<void> {
  if (runIds.length === 0) return
  const rows = await sql<PendingRow>`select r.id, m.code as metric, r.as_of, r.cause, r.expires_at,
      array(select d.code from metric_run_pending_datasets p join datasets d on d.id = p.dataset_id
        where p.run_id = r.id and p.satisfied_by is null order by d.code) as waits_for
    from metric_runs r join metrics m on m.id = r.metric_id where r.id = any (${runIds}::uuid[])`.execute(tx)
  await logEvents(
    tx,
    rows.rows.map((row) => ({
      key: `${row.id}:pending`,
      event: {
        type: 'metric_run.pending',
        runId: row.id,
        metric: row.metric,
        asOf: row.as_of,
        cause: row.cause,
        waitsFor: row.waits_for,
        expiresAt: row.expires_at.toISOString(),
      },
    })),
  )
}
