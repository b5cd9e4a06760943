import { join } from 'node:path'
import { artifactKey, type Stored, StoreError } from '@aduana/artifacts/store'
import { StageName } from '@aduana/contracts/stages'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { LostFileError, sha256Of } from './lost-file.ts'
import type { StageJob } from './stage.ts'

/** A file of a run that has been stored, not yet pointed at. */
export interface KeptFile {
  name: string
  key: string
  mediaType: string
  stored: Stored
  /** The content of the gzip file, which a download returns. */
  content: Stored | null
  downloadable: boolean
}

/** Store a finished file of the run's folder under a key of the run's own, so that no other run can overwrite it. */
export async function keepFile(
  job: StageJob,
  file: { path: string; name: string; mediaType: string; content?: Stored; downloadable?: boolean },
): Promise<KeptFile> {
  const { run, context } = job
  const key = artifactKey(run.jobId, run.stage, `${run.attempt}.${run.try}`, file.name)
  const stored = await context.store.putFile(key, file.path)
  const { name, mediaType, content = null, downloadable = true } = file
  return { name, key, mediaType, stored, content, downloadable }
}

/** Point the names of a job's artifacts at files that have been stored. */
export async function pointAt(tx: Tx, job: StageJob, files: readonly KeptFile[]): Promise<void> {
  if (files.length === 0) return
  await tx
    .insertInto('artifacts')
    .values(
      files.map((file) => ({
        job_id: job.run.jobId,
        name: file.name,
        key: file.key,
        media_type: file.mediaType,
        bytes: file.stored.bytes,
        sha256: file.stored.sha256,
        content_bytes: file.content?.bytes ?? null,
        content_sha256: file.content?.sha256 ?? null,
        stage: job.run.stage,
        attempt: job.run.attempt,
        downloadable: file.downloadable,
      })),
    )
    .onConflict((conflict) =>
      conflict.columns(['job_id', 'name']).doUpdateSet((row) => ({
        key: row.ref('excluded.key'),
        media_type: row.ref('excluded.media_type'),
        bytes: row.ref('excluded.bytes'),
        sha256: row.ref('excluded.sha256'),
        content_bytes: row.ref('excluded.content_bytes'),
        content_sha256: row.ref('excluded.content_sha256'),
        stage: row.ref('excluded.stage'),
        attempt: row.ref('excluded.attempt'),
        downloadable: row.ref('excluded.downloadable'),
        created_at: sql<Date>`now()`,
        removed_at: null,
      })),
    )
    .execute()
}

/**
 * Fetch an artifact of the job into the run's folder and answer its path. What a stage has made is held against its
 * SHA-256; the original was when it arrived, and is measured.
 * @throws LostFileError when it is gone, was removed, or is not what was stored
 */
export function fetchFile(job: StageJob, name: string): Promise<string> {
  return fetchFileOf(job, job.run.jobId, name, name)
}

/**
 * Fetch an artifact of any job into the run's folder, under the name `as`. What another job has left is not made again.
 * @throws LostFileError as `fetchFile` does
 */
export async function fetchFileOf(job: StageJob, jobId: string, name: string, as: string): Promise<string> {
  const row = await job.context.db
    .selectFrom('artifacts')
    .select(['key', 'bytes', 'sha256', 'stage', 'removed_at'])
    .where('job_id', '=', jobId)
    .where('name', '=', name)
    .executeTakeFirst()
  if (!row) throw new LostFileError(`The job has no file "${name}".`, 'nobody')
  const own = row.stage === null ? 'sender' : StageName.parse(row.stage)
  const madeBy = jobId === job.run.jobId ? own : 'nobody'
  if (row.removed_at)
    throw new LostFileError(
      `The file "${name}" of the job was removed at ${row.removed_at.toISOString()}, at the end of its retention.`,
      madeBy,
    )
  const path = join(job.folder, as)
  try {
    await job.context.store.fetch(row.key, path, { bytes: Number(row.bytes), sha256: row.sha256 })
  } catch (error) {
    if (!(error instanceof StoreError) || (error.code !== 'missing' && error.code !== 'damaged')) throw error
    throw new LostFileError(error.message, madeBy, { cause: error })
  }
  if (row.stage !== null && (await sha256Of(path)) !== row.sha256)
    throw new LostFileError(`The file "${name}" is not what ${row.stage} has stored.`, madeBy)
  return path
}
