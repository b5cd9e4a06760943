import { AnnouncedManifest } from '@aduana/contracts/metrics/manifest'
import { ProblemError } from '@aduana/contracts/problems'
import type { Tx } from '@aduana/db/database'

/**
 * Refuse to do something with an import that brings the results of a run: what becomes of them is decided by the run.
 * @throws ProblemError `belongs_to_run` with the `run`
 */
export async function refuseResults(tx: Tx, jobId: string, instead: string): Promise<void> {
  const row = await tx
    .selectFrom('imports')
    .select('manifest')
    .where('job_id', '=', jobId)
    .where('manifest', 'is not', null)
    .executeTakeFirst()
  if (!row) return
  const { runId, metric } = AnnouncedManifest.parse(row.manifest)
  throw new ProblemError(
    'belongs_to_run',
    `The job brings the results of run ${runId} of ${metric}. ${instead}`,
    {
      runId,
      metric,
    },
  )
}
