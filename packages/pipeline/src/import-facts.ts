import { DatasetDefinition, LoadMode } from '@aduana/contracts/dataset-definition'
import { Day } from '@aduana/contracts/dates'
import { DeclaredEncoding } from '@aduana/contracts/encodings'
import { ScopeList } from '@aduana/contracts/identity'
import { JobType } from '@aduana/contracts/job-states'
import { AnnouncedManifest } from '@aduana/contracts/metrics/manifest'
import type { Database } from '@aduana/db/database'
import { StoredProgress, storedProgress } from '@aduana/jobs/stage-attempts/stored-progress'
import { sql } from 'kysely'
import { z } from 'zod'

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
