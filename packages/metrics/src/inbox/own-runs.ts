import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { RunEventError } from '../runs/event-problem.ts'

/**
 * Refuse events from outside of runs that Aduana computes itself: a runner that answers every request, whoever it is
 * for, must not end them. @throws RunEventError `not_external`
 */
export async function refuseOwnRuns(tx: Tx, events: readonly { runId: string }[]): Promise<void> {
  const ids = events.map(({ runId }) => runId)
  const rows = await sql<{ id: string; metric: string }>`select r.id, m.code as metric
    from metric_runs r join metric_versions v on v.metric_id = r.metric_id and v.version = r.metric_version
      join metrics m on m.id = r.metric_id
    where r.id = any (${ids}::uuid[]) and v.definition ->> 'runner' = 'builtin' limit 1`.execute(tx)
  const [own] = rows.rows
  if (own)
    throw new RunEventError(
      'not_external',
      own.id,
      `run ${own.id} of ${own.metric} is computed by Aduana itself: answer only requests whose runner is "external"`,
    )
}
