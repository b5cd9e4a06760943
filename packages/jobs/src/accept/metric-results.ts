import { AnnouncedManifest } from '@aduana/contracts/metrics/manifest'
import { ProblemError } from '@aduana/contracts/problems'
import type { Tx } from '@aduana/db/database'

/**
 * Rejects an action on an import that contains the results of a metric run: such an import is managed by the run.
 * `instead` is the sentence of the error that tells the user what to do.
 * @throws ProblemError `belongs_to_run` with the `run`
 */
export async function assertNotMetricResults(tx: Tx, jobId: string, instead: string): Promise<void> {
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
    `The job contains the results of run ${runId} of ${metric}. ${instead}`,
    {
      runId,
      metric,
    },
  )
}
