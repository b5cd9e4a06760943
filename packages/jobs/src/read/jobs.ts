import type { Principal } from '@aduana/contracts/identity'
import { Job, type JobQuery } from '@aduana/contracts/jobs'
import { ProblemError } from '@aduana/contracts/problems'
import { sequence } from '@aduana/contracts/progress'
import { type Database, type ReadTx, readAs } from '@aduana/db/database'
import { sql } from 'kysely'
import { z } from 'zod'
import { CursorColumn, decodeCursor, encodeCursor } from './cursor.ts'

export interface Page<T> {
  items: T[]
  next: string | null
}

/** Without `includeUndone`, imports that have been undone are left out. */
type ListQuery = Omit<JobQuery, 'includeUndone'> & { includeUndone?: boolean | undefined }

export interface NumberedJob {
  job: Job
  /** The sequence number of a message with this state. */
  seq: number
}

const JobCursor = z.tuple([CursorColumn.moment, CursorColumn.uuid])

/** Returns a job that `principal` may see. @throws ProblemError `not_found` */
export async function readJob(db: Database, principal: Principal, id: string): Promise<Job> {
  return (await readNumberedJob(db, principal, id)).job
}

/** Returns a job with the sequence number of its state. @throws ProblemError `not_found` */
export function readNumberedJob(db: Database, principal: Principal, id: string): Promise<NumberedJob> {
  return readAs(db, principal, async (tx) => {
    const [found] = await readRows(tx, sql`where j.id = ${id}::uuid`)
    if (found) return found
    throw new ProblemError('not_found', `The job ${id} does not exist, or you have no access to it.`)
  })
}

/** Returns the jobs that `principal` may see, newest first. */
export async function listJobs(db: Database, principal: Principal, query: ListQuery): Promise<Page<Job>> {
  const page = await listNumberedJobs(db, principal, query)
  return { items: page.items.map(({ job }) => job), next: page.next }
}

/** Returns the jobs that `principal` may see with the sequence numbers of their states, newest first. */
export function listNumberedJobs(
  db: Database,
  principal: Principal,
  query: ListQuery,
): Promise<Page<NumberedJob>> {
  const after = query.cursor === undefined ? undefined : decodeCursor(JobCursor, query.cursor)
  return readAs(db, principal, async (tx) => {
    const found = await readRows(
      tx,
      sql`where (${query.status ?? null}::text is null or j.status = ${query.status ?? null})
        and (${query.waitingFor ?? null}::text is null or j.waiting_for = ${query.waitingFor ?? null})
        and (${query.type ?? null}::text is null or j.type = ${query.type ?? null})
        and (${query.dataset ?? null}::text is null or d.code = ${query.dataset ?? null})
        and (${query.includeUndone === true} or not j.batch_deleted)
        and (${after?.[0] ?? null}::timestamptz is null
          or (j.created_at, j.id) < (${after?.[0] ?? null}::timestamptz, ${after?.[1] ?? null}::uuid))
        order by j.created_at desc, j.id desc limit ${query.limit + 1}`,
    )
    const items = found.slice(0, query.limit)
    const last = items.at(-1)
    const more = found.length > query.limit && last !== undefined
    return { items, next: more ? encodeCursor([last.createdAtText, last.job.id]) : null }
  })
}

export interface ArtifactLocation {
  key: string
  mediaType: string
  /** Number of bytes of the uncompressed content, which is what a download returns. */
  bytes: number
  sha256: string
  /** Whether the content is stored gzipped. */
  packed: boolean
  /** The file name of the download. */
  fileName: string
}

/** Returns where a downloadable file of a job is stored. @throws ProblemError `not_found`, `artifact_expired` */
export function findArtifact(
  db: Database,
  principal: Principal,
  jobId: string,
  name: string,
): Promise<ArtifactLocation> {
  return readAs(db, principal, async (tx) => {
    const row = await tx
      .selectFrom('artifacts as a')
      .innerJoin('imports as i', 'i.job_id', 'a.job_id')
      .select(['a.key', 'a.media_type', 'a.bytes', 'a.sha256', 'a.content_bytes', 'a.content_sha256'])
      .select(['i.file_name', 'i.import_no', 'a.removed_at'])
      .where('a.job_id', '=', jobId)
      .where('a.name', '=', name)
      .where('a.downloadable', '=', true)
      .executeTakeFirst()
    if (!row)
      throw new ProblemError(
        'not_found',
        `The job ${jobId} has no file "${name}", or you have no access to it.`,
      )
    if (row.removed_at) throw expired(name, row.removed_at)
    return {
      key: row.key,
      mediaType: row.media_type,
      bytes: Number(row.content_bytes ?? row.bytes),
      sha256: row.content_sha256 ?? row.sha256,
      packed: row.content_sha256 !== null,
      fileName: name === 'original' ? row.file_name : `import-${row.import_no}-${name}`,
    }
  })
}

function expired(name: string, removedAt: Date): ProblemError {
  return new ProblemError(
    'artifact_expired',
    `The file "${name}" was removed at ${removedAt.toISOString()}, at the end of the retention of its dataset.`,
    { removedAt: removedAt.toISOString() },
  )
}

/** Returns the current versions of jobs, by id. Jobs that do not exist are left out. */
export async function readVersions(db: Database, ids: readonly string[]): Promise<Map<string, number>> {
  if (ids.length === 0) return new Map()
  const rows = await sql<{ id: string; version: string }>`
    select id, version from jobs where id = any (${ids}::uuid[])`.execute(db)
  return new Map(rows.rows.map((row) => [row.id, Number(row.version)]))
}

interface Row {
  job: unknown
  version: string
  progress_tick: number
  created_at_text: string
}

async function readRows(
  tx: ReadTx,
  tail: ReturnType<typeof sql>,
): Promise<(NumberedJob & { createdAtText: string })[]> {
  const rows = await sql<Row>`
    select j.version, j.progress_tick, to_char(j.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as created_at_text, jsonb_build_object(
      'id', j.id, 'type', j.type, 'status', j.status, 'stage', j.stage, 'waitingFor', j.waiting_for,
      'dryRun', j.dry_run,
      'progress', j.progress, 'message', j.message, 'dataset', d.code,
      'user', jsonb_build_object('id', j.user_id, 'email', coalesce(u.email, '')),
      'parameters', j.parameters,
      'counts', jsonb_build_object('records', j.records, 'loaded', j.loaded, 'inserted', j.inserted,
        'updated', j.updated, 'unchanged', j.unchanged, 'removed', j.removed, 'quarantined', j.quarantined,
        'duplicates', j.duplicates, 'conflicts', j.conflicts),
      'rowsPerSecond', j.rows_per_second, 'etaSeconds', j.eta_seconds, 'error', j.error,
      'attempts', coalesce((select jsonb_agg(jsonb_build_object('stage', s.stage, 'attempt', s.attempt,
          'state', s.state, 'startedAt', ${instant('s.started_at')}, 'finishedAt', ${instant('s.finished_at')},
          'error', s.error) order by s.started_at)
        from stage_results s where s.job_id = j.id), '[]'),
      'parent', j.parent_id,
      'artifacts', coalesce((select jsonb_agg(jsonb_build_object('name', a.name, 'bytes', coalesce(a.content_bytes, a.bytes),
          'sha256', coalesce(a.content_sha256, a.sha256), 'mediaType', a.media_type, 'removedAt', ${instant('a.removed_at')}) order by a.created_at, a.name)
        from artifacts a where a.job_id = j.id and a.downloadable), '[]'),
      'totalItems', j.total_items, 'processedItems', j.processed_items, 'result', ${RESULT},
      'warnings', coalesce(j.result -> 'warnings', '[]'),
      'batchDeleted', j.batch_deleted, 'undoneBy', j.undone_by, 'createdAt', ${instant('j.created_at')},
      'startedAt', ${instant('j.started_at')}, 'completedAt', ${instant('j.completed_at')},
      'updatedAt', ${instant('j.updated_at')}) as job
    from jobs j left join datasets d on d.id = j.dataset_id left join users u on u.id = j.user_id
    ${tail}`.execute(tx)
  return rows.rows.map((row) => ({
    job: Job.parse(row.job),
    seq: sequence(Number(row.version), row.progress_tick),
    createdAtText: row.created_at_text,
  }))
}

/** The counts of a preview are shown, like the preview itself, only to users who may see the whole scope of the job. */
const RESULT = sql`case when (reader_companies() is null or j.companies <@ reader_companies())
  and (reader_warehouses() is null or j.warehouses <@ reader_warehouses()) then j.result else j.result - 'preview' end`

/** Returns SQL of a time in ISO 8601, UTC, with milliseconds. `reference` is one of our own column names, never input. */
function instant(reference: string) {
  return sql`to_char(${sql.ref(reference)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
}
