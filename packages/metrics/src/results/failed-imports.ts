import { UNSUCCESSFUL_JOBS } from '@aduana/contracts/job-states'
import type { Tx } from '@aduana/db/database'
import { literals } from '@aduana/db/literals'
import { sql } from 'kysely'
import { endRuns, type RunEnding } from '../runs/end.ts'
import { lockRuns, lockWithDependents } from '../runs/locks.ts'

interface FailedImport {
  runId: string
  metricId: string
  attempt: number
  job: string
  status: string
  detail: string | null
}

/**
 * Fails the runs whose results could not be imported, because the job failed or was cancelled. Call it every few
 * seconds, in a transaction of its own. Returns the ids of the runs.
 */
export async function failRunsOfFailedImports(tx: Tx): Promise<string[]> {
  const found = await find(tx)
  if (found.length === 0) return []
  const locked = await lockWithDependents(tx, [...new Set(found.map(({ metricId }) => metricId))])
  await lockRuns(tx, found, locked)
  const failed = (await find(tx)).filter(({ metricId }) => locked.includes(metricId))
  const { ended } = await endRuns(tx, failed.map(endingOf), locked)
  return ended
}

async function find(tx: Tx): Promise<FailedImport[]> {
  const rows =
    await sql<FailedImport>`select r.id as "runId", r.metric_id as "metricId", r.attempt, j.id as job, j.status,
      j.error ->> 'detail' as detail
    from metric_runs r join jobs j on j.id = r.job_id
    where r.status = 'RUNNING' and j.status in (${literals(UNSUCCESSFUL_JOBS)})`.execute(tx)
  return rows.rows
}

function endingOf({ runId: id, attempt, job, status, detail }: FailedImport): RunEnding {
  const why = detail ?? `The job ${job}, which imports the results of the run, is ${status}.`
  return { id, attempt, to: 'FAILED', error: { code: 'results_not_loaded', detail: why, job } }
}
