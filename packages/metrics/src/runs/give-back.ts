import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { lockRunsOf } from './classify.ts'
import { tryChangeRuns } from './transitions.ts'

/**
 * Give runs back that their runner has begun and will not end, because it stops: REQUESTED again, in the same attempt. The
 * runner has seen to it that nothing of its work is left, and does not touch them any more. Answers the ids.
 */
export async function giveBack(
  tx: Tx,
  runs: readonly { runId: string; attempt: number }[],
): Promise<string[]> {
  await lockRunsOf(tx, runs)
  const own = runs.map(({ runId: id, attempt }) => ({ id, attempt }))
  const changed = await tryChangeRuns(tx, own, ['RUNNING'], {
    status: 'REQUESTED',
    requested_at: sql<Date>`clock_timestamp()`,
    started_at: null,
    last_heartbeat_at: null,
    runner: null,
    progress: 0,
    message: '',
  })
  return changed.map(({ id }) => id)
}
