import type { ArtifactStore } from '@aduana/artifacts/store'
import type { Principal } from '@aduana/contracts/identity'
import { ProblemError } from '@aduana/contracts/problems'
import { FileLayout, Reject, type RejectPage } from '@aduana/contracts/rejects'
import { type Database, type ReadTx, readAs } from '@aduana/db/database'
import { sql } from 'kysely'
import { z } from 'zod'
import { CursorColumn, decodeCursor, encodeCursor } from './cursor.ts'
import { findArtifact } from './jobs.ts'
import { groupsOfFile, pageOfFile, type RejectGroup } from './rejects-of-file.ts'

/** The sources of rejects. Those that were not stored in the database are in their file only. */
export interface RejectSources {
  db: Database
  store: ArtifactStore
}

const RejectCursor = z.tuple([CursorColumn.bigint])

/**
 * Returns a page of the rejects of a job that `principal` may see, in the order of the file. Rejects that are not in the
 * database, such as those of a dry run, are read from the file of rejects.
 * @throws ProblemError `not_found`, `artifact_expired`
 */
export async function listRejects(
  sources: RejectSources,
  principal: Principal,
  jobId: string,
  query: { cursor?: string | undefined; limit: number },
): Promise<RejectPage> {
  const subject = await readAs(sources.db, principal, (tx) => readSubject(tx, jobId))
  const { file } = subject
  if (!isInFileOnly(subject))
    return { ...(await readAs(sources.db, principal, (tx) => storedPage(tx, jobId, query))), file }
  if (hasNone(subject)) return { items: [], next: null, file }
  const artifact = await findArtifact(sources.db, principal, jobId, 'rejects.ndjson')
  const { lines, next } = await pageOfFile(sources.store, artifact, query)
  const items = lines.map((line) => ({
    ...line,
    ...{ id: String((BigInt(subject.importNo) << 32n) | BigInt(line.record)), jobId },
    ...{ dataset: subject.dataset, state: null },
  }))
  return { items, next, file }
}

/**
 * Returns the reasons why records of a job were rejected, the most frequent first, at most 100. Returns none once the
 * rejects have been removed.
 * @throws ProblemError `not_found`
 */
export async function groupRejects(
  { db, store }: RejectSources,
  principal: Principal,
  jobId: string,
): Promise<RejectGroup[]> {
  const subject = await readAs(db, principal, (tx) => readSubject(tx, jobId))
  if (!isInFileOnly(subject)) return readAs(db, principal, (tx) => storedGroups(tx, jobId))
  if (hasNone(subject)) return []
  try {
    return await groupsOfFile(
      store,
      await findArtifact(db, principal, jobId, 'rejects.ndjson'),
      subject.reasons,
    )
  } catch (error) {
    // The report shows the counts of a job even when its files are gone.
    if (error instanceof ProblemError && ['artifact_expired', 'not_found'].includes(error.code)) return []
    throw error
  }
}

const Subject = z.object({
  dataset: z.string(),
  importNo: z.int(),
  dryRun: z.boolean(),
  ended: z.boolean(),
  /** Whether the database has rejects of the job. */
  stored: z.boolean(),
  /** Whether a file of rejects was written. It may have been removed since. */
  hasFile: z.boolean(),
  /** Null when the number was not determined. */
  quarantined: z.number().nullable(),
  file: FileLayout.nullable(),
  /** The count of each reason in the whole file; null when the file was not read to its end. */
  reasons: z.array(z.object({ column: z.string().nullable(), code: z.string(), count: z.int() })).nullable(),
})

type Subject = z.infer<typeof Subject>

/** A dry run stores no rejects, nor does an import that failed before its rejects were stored. */
function isInFileOnly({ dryRun, ended, stored }: Subject): boolean {
  return dryRun || (ended && !stored)
}

function hasNone({ quarantined, hasFile }: Subject): boolean {
  return quarantined === null ? !hasFile : quarantined === 0
}

async function readSubject(tx: ReadTx, jobId: string): Promise<Subject> {
  const found = await sql`select coalesce(d.code, '') as dataset, coalesce(i.import_no, 0) as "importNo",
      j.dry_run as "dryRun", j.completed_at is not null as ended,
      exists (select from quarantined_records q where q.job_id = j.id) as stored,
      exists (select from artifacts a where a.job_id = j.id and a.name = 'rejects.ndjson') as "hasFile",
      j.quarantined::int as quarantined, i.layout as file,
      (select s.output -> 'reasons' from stage_results s
        where s.job_id = j.id and s.stage = 'validate' and s.state = 'done') as reasons
    from jobs j left join imports i on i.job_id = j.id left join datasets d on d.id = j.dataset_id
    where j.id = ${jobId}`.execute(tx)
  const [row] = found.rows
  if (row) return Subject.parse(row)
  throw new ProblemError('not_found', `The job ${jobId} does not exist, or you have no access to it.`)
}

async function storedPage(
  tx: ReadTx,
  jobId: string,
  query: { cursor?: string | undefined; limit: number },
): Promise<{ items: Reject[]; next: string | null }> {
  const after = query.cursor === undefined ? '0' : decodeCursor(RejectCursor, query.cursor)[0]
  const rows = await tx
    .selectFrom('quarantined_records as q')
    .innerJoin('datasets as d', 'd.id', 'q.dataset_id')
    .select(['q.id', 'q.job_id', 'd.code', 'q.record', 'q.line', 'q.byte_offset', 'q.byte_length'])
    .select(['q.reasons', 'q.raw', 'q.raw_truncated', 'q.state'])
    .where('q.job_id', '=', jobId)
    .where('q.record', '>', after)
    .orderBy('q.record')
    .limit(query.limit + 1)
    .execute()
  const items = rows.slice(0, query.limit).map((row) =>
    Reject.parse({
      id: row.id,
      jobId: row.job_id,
      dataset: row.code,
      record: Number(row.record),
      line: Number(row.line),
      offset: row.byte_offset === null ? null : Number(row.byte_offset),
      length: row.byte_length === null ? null : Number(row.byte_length),
      reasons: row.reasons,
      raw: row.raw,
      rawTruncated: row.raw_truncated,
      state: row.state,
    }),
  )
  const last = items.at(-1)
  return { items, next: rows.length > query.limit && last ? encodeCursor([String(last.record)]) : null }
}

async function storedGroups(tx: ReadTx, jobId: string): Promise<RejectGroup[]> {
  const groups = await sql<RejectGroup>`
    select g.column, g.code, g.rejects, x.example, x.line
    from (select r ->> 'column' as column, r ->> 'code' as code, count(*)::int as rejects, min(q.record) as first
      from quarantined_records q, jsonb_array_elements(q.reasons) r where q.job_id = ${jobId}
      group by 1, 2 order by 3 desc, 1, 2 limit 100) g
    cross join lateral (select r ->> 'message' as example, q.line::int as line
      from quarantined_records q, jsonb_array_elements(q.reasons) r
      where q.job_id = ${jobId} and q.record = g.first and r ->> 'code' = g.code
        and r ->> 'column' is not distinct from g.column limit 1) x
    order by g.rejects desc, g.column, g.code`.execute(tx)
  return groups.rows
}
