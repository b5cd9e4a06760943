import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { artifactKey, type Stored, StoreError } from '@aduana/artifacts/store'
import { StageName } from '@aduana/contracts/stages'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import { LostFileError } from './failure.ts'
import type { StageJob } from './stage.ts'

/** A file of a stage attempt that is stored but not yet registered as an artifact. */
export interface StoredArtifact {
  name: string
  key: string
  mediaType: string
  stored: Stored
  /** The content of the gzip file, as a download returns it. */
  content: Stored | null
  downloadable: boolean
}

/**
 * Stores a finished file from the folder of the stage attempt. The key belongs to this attempt, so no other can
 * overwrite it.
 */
export async function storeArtifact(
  job: StageJob,
  file: { path: string; name: string; mediaType: string; content?: Stored; downloadable?: boolean },
): Promise<StoredArtifact> {
  const { stageAttempt, context } = job
  const key = artifactKey(
    stageAttempt.jobId,
    stageAttempt.stage,
    `${stageAttempt.attempt}.${stageAttempt.try}`,
    file.name,
  )
  const stored = await context.store.putFile(key, file.path)
  const { name, mediaType, content = null, downloadable = true } = file
  return { name, key, mediaType, stored, content, downloadable }
}

/** Registers stored files as the artifacts of a job, by name. */
export async function registerArtifacts(
  tx: Tx,
  job: StageJob,
  files: readonly StoredArtifact[],
): Promise<void> {
  if (files.length === 0) return
  await tx
    .insertInto('artifacts')
    .values(
      files.map((file) => ({
        job_id: job.stageAttempt.jobId,
        name: file.name,
        key: file.key,
        media_type: file.mediaType,
        bytes: file.stored.bytes,
        sha256: file.stored.sha256,
        content_bytes: file.content?.bytes ?? null,
        content_sha256: file.content?.sha256 ?? null,
        stage: job.stageAttempt.stage,
        attempt: job.stageAttempt.attempt,
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
 * Fetches an artifact of the job into the folder of the stage attempt and returns its path. Verifies the SHA-256 of
 * what a stage has made; the original was verified when it arrived, so only its size is checked.
 * @throws LostFileError if the file is missing, was removed, or differs from what was stored
 */
export function fetchArtifact(job: StageJob, name: string): Promise<string> {
  return fetchArtifactOf(job, job.stageAttempt.jobId, name, name)
}

/**
 * Fetches an artifact of any job into the folder of the stage attempt, under the name `as`. Files of another job are
 * never created again.
 * @throws LostFileError as `fetchArtifact` does
 */
export async function fetchArtifactOf(
  job: StageJob,
  jobId: string,
  name: string,
  as: string,
): Promise<string> {
  const row = await job.context.db
    .selectFrom('artifacts')
    .select(['key', 'bytes', 'sha256', 'stage', 'removed_at'])
    .where('job_id', '=', jobId)
    .where('name', '=', name)
    .executeTakeFirst()
  if (!row) throw new LostFileError(`The job has no file "${name}".`, 'none')
  const own = row.stage === null ? 'sender' : StageName.parse(row.stage)
  const madeBy = jobId === job.stageAttempt.jobId ? own : 'none'
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
    throw new LostFileError(`The file "${name}" differs from what ${row.stage} stored.`, madeBy)
  return path
}

/** Returns the SHA-256 of a file in lower-case hexadecimal. */
async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk)
  return hash.digest('hex')
}
