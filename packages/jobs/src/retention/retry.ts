import { ProblemError } from '@aduana/contracts/problems'
import type { StageName } from '@aduana/contracts/stages'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'

/** The files that each stage reads. */
const READS: Record<StageName, readonly string[]> = {
  parse: ['original'],
  validate: ['original', 'parsed.parquet', 'structural.ndjson'],
  quarantine: ['rejects.ndjson'],
  load: ['clean.parquet'],
  'fan-out': [],
}

/**
 * Rejects a retry of a job when a file has been removed that its remaining stages read and that none of them writes again.
 * @throws ProblemError `artifact_expired`
 */
export async function assertFilesRetained(tx: Tx, jobId: string): Promise<void> {
  const rows = await sql<{ stage: string; name: string; removed_at: Date }>`
    with reads as (select r.key as stage, f.name
      from jsonb_each(${JSON.stringify(READS)}::jsonb) r, jsonb_array_elements_text(r.value) as f(name)),
    done as (select stage from stage_results where job_id = ${jobId} and state = 'done')
    select r.stage, a.name, a.removed_at from reads r
      join artifacts a on a.job_id = ${jobId} and a.name = r.name and a.removed_at is not null
    where r.stage not in (select stage from done) and (a.stage is null or a.stage in (select stage from done))
    order by a.removed_at limit 1`.execute(tx)
  const [needed] = rows.rows
  if (!needed) return
  throw new ProblemError(
    'artifact_expired',
    `The job cannot be retried, because the stage ${needed.stage} reads the file "${needed.name}", which was removed at ${needed.removed_at.toISOString()}, at the end of its retention. Upload the original file again.`,
    { removedAt: needed.removed_at.toISOString(), artifact: needed.name },
  )
}
