import { ColumnDecision } from '@aduana/contracts/column-decisions'
import { Day } from '@aduana/contracts/dates'
import { ImportWarning } from '@aduana/contracts/import-warnings'
import type { StageName } from '@aduana/contracts/stages'
import { CellCount } from '@aduana/datasets/validation/results'
import type { Database } from '@aduana/db/database'
import { ENCODINGS } from '@aduana/engine/text'
import { stageOutput } from '@aduana/jobs/stage-log'
import { z } from 'zod'

const Count = z.int().nonnegative()

/** What `parse` found; beside it the artifacts `parsed.parquet` and `structural.ndjson`. */
export const ParseOutput = z.object({
  format: z.enum(['plain', 'gzip']),
  encoding: z.enum(ENCODINGS),
  /** It was declared or is beyond doubt. */
  encodingSure: z.boolean(),
  delimiter: z.string(),
  headerLine: Count,
  /** The lines before the header that are not blank. */
  preamble: z.array(z.object({ line: Count, text: z.string() })),
  /** Columns of the definition that the file brings, in the order of the parsed file. */
  columns: z.array(z.string()),
  /** Header cells that name no column of the definition. */
  ignored: z.array(z.string()),
  /** Optional columns that the file does not bring. */
  absent: z.array(z.string()),
  records: Count,
  good: Count,
  structuralRejects: Count,
  /** Blank lines and records without any value, after the header. */
  skipped: Count,
  warnings: z.array(ImportWarning),
})
export type ParseOutput = z.infer<typeof ParseOutput>

/** What `validate` found; beside it `clean.parquet`, `rejects.ndjson`, `duplicates.ndjson`, and `conflicts.ndjson` if there are any. */
export const ValidateOutput = z.object({
  clean: Count,
  rejected: Count,
  /** Of these, how many are in `rejects.ndjson` when not all are: the import fails for them. */
  kept: Count.optional(),
  duplicates: Count,
  /** Validations of before there were conflicts do not say: they counted them as duplicates. */
  conflicts: Count.default(0),
  /** Equal for equal clean rows, in whatever order and spelling the file has them. Only of an append with rows. */
  digest: z.string().optional(),
  /** Accepted rows of each day and replace scope; empty for a dataset without window column. */
  days: z.array(z.object({ scope: z.string(), day: Day, rows: Count })),
  /** How columns were read that can be written in several ways. */
  decisions: z.array(ColumnDecision).default([]),
  reasons: z.array(z.object({ column: z.string().nullable(), code: z.string(), count: Count })),
  /** How many records are outside of the declared window, when all of them are of the day that was declared as `to`. */
  onlyOnWindowEnd: Count.optional(),
  /** Cells of accepted records whose text was cleaned, and such that hold a declared word for no value. */
  cleaned: z.array(CellCount).default([]),
  nullWords: z.array(CellCount).default([]),
  warnings: z.array(ImportWarning),
})
export type ValidateOutput = z.infer<typeof ValidateOutput>

/** What `load` published. */
export const LoadOutput = z.object({
  loaded: Count,
  inserted: Count,
  updated: Count,
  unchanged: Count,
  removed: Count,
  updateId: z.uuid(),
  /** Rows that it replaced or changed, kept as they were. Loads of before there was undo do not say. */
  beforeRows: Count.optional(),
})
export type LoadOutput = z.infer<typeof LoadOutput>

/** What `load` took back for an undo. */
export const UndoOutput = z.object({ updateId: z.uuid(), deleted: Count, restored: Count })
export type UndoOutput = z.infer<typeof UndoOutput>

/** What `load` found out for a dry run. */
export const DryRunOutput = z.object({
  wouldDo: z.string(),
  /** The code of the failure with which the import itself would be refused. */
  refused: z.string().optional(),
})
export type DryRunOutput = z.infer<typeof DryRunOutput>

/** The output of an earlier stage. @throws Error when that stage is not done, which `beginStage` rules out */
export async function readOutput<T extends z.ZodType>(
  db: Database,
  jobId: string,
  stage: StageName,
  schema: T,
): Promise<z.output<T>> {
  return schema.parse(await stageOutput(db, jobId, stage))
}
