import type { ExternalFiles } from '@aduana/artifacts/external-files'
import type { ArtifactStore } from '@aduana/artifacts/store'
import { DatasetDefinition, LoadMode } from '@aduana/contracts/dataset-definition'
import { Day } from '@aduana/contracts/dates'
import { DeclaredEncoding } from '@aduana/contracts/encodings'
import type { JobFailure } from '@aduana/contracts/failures'
import { ScopeList } from '@aduana/contracts/identity'
import { JobType } from '@aduana/contracts/job-states'
import { AnnouncedManifest } from '@aduana/contracts/metrics/manifest'
import type { StageName } from '@aduana/contracts/stages'
import type { Database, Tx } from '@aduana/db/database'
import type { Engine } from '@aduana/engine/engine'
import { type EngineTasks, orLarger } from '@aduana/engine/larger'
import type { StageProgress } from '@aduana/jobs/stage-attempts/progress'
import type { StageAttempt } from '@aduana/jobs/stage-attempts/stage-attempts'
import { StoredProgress, storedProgress } from '@aduana/jobs/stage-attempts/stored-progress'
import type { ProgressPublisher } from '@aduana/queue/progress-channel'
import type { Logger } from '@aduana/runtime/logger'
import { sql } from 'kysely'
import type pg from 'pg'
import { z } from 'zod'

/** A stage: its name and its work. */
export interface Stage {
  name: StageName
  work: (job: StageJob) => Promise<StageResult>
}

/**
 * The result of a stage's work. Its effects on the database happen in `commit`, in the transaction that marks the stage
 * as done. Before that, nothing visible to others has changed.
 */
export type StageResult =
  /** The stage is done. `commit` returns the output that later stages read. */
  | { kind: 'done'; commit: (tx: Tx, client: pg.PoolClient) => Promise<Record<string, unknown>> }
  /** The stage has already committed. */
  | { kind: 'committed' }
  /** The import fails for good. `keep` stores what users can inspect. */
  | { kind: 'fail'; failure: JobFailure; keep?: (tx: Tx, client: pg.PoolClient) => Promise<void> }
  /** Try again later: another process holds what this one needs. */
  | { kind: 'snooze'; milliseconds: number; reason: string }
  /** The job waits in PostgreSQL until the dispatcher admits it again. */
  | { kind: 'park'; reason: string }

/** One attempt at a stage, as its work sees it. */
export interface StageJob {
  context: PipelineContext
  stageAttempt: StageAttempt
  facts: ImportFacts
  /** A folder for this stage attempt only. It is removed afterwards. */
  folder: string
  /** Aborted when the stage attempt must stop: it was cancelled or overtaken, or the process ends. */
  signal: AbortSignal
  report: (progress: StageProgress) => void
}

/** What every stage works with. A worker process has one. */
export interface PipelineContext {
  db: Database
  pool: pg.Pool
  store: ArtifactStore
  /**
   * One engine for small files and one for large ones, so that a small file never waits behind a large one. The latter
   * starts with the first large file.
   */
  engines: { small: Engine; large: Engine }
  publisher: ProgressPublisher
  /** Access to external files; undefined if the settings name no region. */
  outside: ExternalFiles | undefined
  logger: Logger
  /** Scratch folder of this process. Each stage attempt creates its own folder in it and removes it afterwards. */
  workFolder: string
  /** Identifies this process in the stage log and in leases. */
  worker: string
  /** Maximum size of an unpacked file. */
  maxUnpackedBytes: number
}

/** What a stage needs to know about an import. Only `progress` changes after the import was accepted. */
export const ImportFacts = z.object({
  jobId: z.uuid(),
  type: JobType,
  /** The job that loads the rows, or, for an undo, the job that loaded them. */
  importId: z.uuid(),
  userId: z.uuid(),
  startedAt: z.coerce.date(),
  /** As stored when the facts were read. */
  progress: StoredProgress,
  importNo: z.int().positive(),
  datasetId: z.uuid(),
  datasetVersion: z.int().positive(),
  definition: DatasetDefinition,
  mode: LoadMode,
  dryRun: z.boolean(),
  /** The uploader confirmed that the import repeats an earlier one. */
  forced: z.boolean(),
  requireApproval: z.boolean(),
  /** Size as received, compressed or not. */
  bytes: z.coerce.number(),
  /** Unpacked bytes and records of the file; null before it is parsed. */
  unpackedBytes: z.coerce.number().nullable(),
  records: z.coerce.number().nullable(),
  window: z.object({ from: Day, to: Day }).nullable(),
  scopes: z.array(z.string()),
  companies: ScopeList,
  warehouses: ScopeList,
  encoding: DeclaredEncoding.nullable(),
  delimiter: z.string().nullable(),
  expectedRecords: z.coerce.number().nullable(),
  manifest: AnnouncedManifest.nullable(),
})

export type ImportFacts = z.infer<typeof ImportFacts>

/** Reads the facts of an import; for an undo, those of the import that it undoes. @throws Error if there is none */
export async function readImportFacts(db: Database, jobId: string): Promise<ImportFacts> {
  const rows = await sql`
    select j.id as "jobId", j.type, i.job_id as "importId", j.user_id as "userId", coalesce(j.started_at, j.created_at) as "startedAt",
      ${storedProgress('j')} as progress,
      i.import_no as "importNo", i.dataset_id as "datasetId",
      i.dataset_version as "datasetVersion", v.definition, i.mode, i.bytes, i.unpacked_bytes as "unpackedBytes", j.records, j.dry_run as "dryRun", j.forced,
      i.require_approval as "requireApproval",
      case when i.declared_window is null then null else jsonb_build_object(
        'from', lower(i.declared_window)::text, 'to', upper(i.declared_window)::text) end as window,
      i.scopes, j.companies, j.warehouses, i.encoding, i.delimiter,
      i.expected_records as "expectedRecords", i.manifest
    from jobs j join imports i on i.job_id = case j.type when 'undo' then j.parent_id else j.id end
      join dataset_versions v on v.dataset_id = i.dataset_id and v.version = i.dataset_version
    where j.id = ${jobId}`.execute(db)
  const facts = ImportFacts.parse(rows.rows[0])
  // The mode of this import decides how its rows are written; the mode of the definition is only the default.
  return { ...facts, definition: { ...facts.definition, loadMode: facts.mode } }
}

/** Returns the unpacked size of the file of an import in bytes, or its size as received before that is known. */
export function unpackedBytes(facts: Pick<ImportFacts, 'bytes' | 'unpackedBytes'>): number {
  return facts.unpackedBytes ?? facts.bytes
}

/** Limits of the engine for small files: unpacked bytes, and records or lines. */
export const SMALL_FILE = { bytes: 4 * 1024 * 1024, lines: 100_000 } as const

/**
 * Returns the engine for an import, chosen by its unpacked bytes, the bytes of the stored rows that it is compared
 * with, and its number of records.
 */
export function engineFor(
  context: PipelineContext,
  facts: Pick<ImportFacts, 'bytes' | 'unpackedBytes' | 'records'>,
  storedBytes = 0,
): EngineTasks {
  const bytes = unpackedBytes(facts) + storedBytes
  return engineOf(context, bytes <= SMALL_FILE.bytes && (facts.records ?? 0) <= SMALL_FILE.lines)
}

/** Returns the engine for small files, or the one for large files. */
export function engineOf({ engines }: PipelineContext, small: boolean): EngineTasks {
  return small ? orLarger(engines.small, engines.large) : engines.large
}
