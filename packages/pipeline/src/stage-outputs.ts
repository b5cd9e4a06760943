import { ColumnDecision } from '@aduana/contracts/column-decisions'
import { Day } from '@aduana/contracts/dates'
import { ImportWarning } from '@aduana/contracts/import-warnings'
import type { StageName } from '@aduana/contracts/stages'
import { CellCount } from '@aduana/datasets/validation/results'
import type { Database } from '@aduana/db/database'
import { ENCODINGS } from '@aduana/engine/text'
import { stageOutput } from '@aduana/jobs/stage-attempts/stage-attempts'
import { z } from 'zod'

const Count = z.int().nonnegative()

/** The output of `parse`. Its artifacts are `parsed.parquet` and `structural.ndjson`. */
export const ParseOutput = z.object({
  format: z.enum(['plain', 'gzip']),
  encoding: z.enum(ENCODINGS),
  /** The encoding was declared or is beyond doubt. */
  encodingSure: z.boolean(),
  delimiter: z.string(),
  headerLine: Count,
  /** The lines before the header that are not blank. */
  preamble: z.array(z.object({ line: Count, text: z.string() })),
  /** Columns of the definition that the file has, in the order of the parsed file. */
  columns: z.array(z.string()),
  /** Header cells that name no column of the definition. */
  ignored: z.array(z.string()),
  /** Optional columns that the file lacks. */
  absent: z.array(z.string()),
  records: Count,
  good: Count,
  structuralRejects: Count,
  /** Number of blank lines and records without any value, after the header. */
  skipped: Count,
  warnings: z.array(ImportWarning),
})
export type ParseOutput = z.infer<typeof ParseOutput>

/**
 * The output of `validate`. Its artifacts are `clean.parquet`, `rejects.ndjson`, `duplicates.ndjson`, and
 * `conflicts.ndjson` if there are conflicts.
 */
export const ValidateOutput = z.object({
  clean: Count,
  rejected: Count,
  /** How many rejects `rejects.ndjson` contains, if not all: then the import fails because of them. */
  kept: Count.optional(),
  duplicates: Count,
  /** Absent from validations made before conflicts existed, which counted them as duplicates. */
  conflicts: Count.default(0),
  /** Equal for equal clean rows in any order and spelling. Only for an append with rows. */
  digest: z.string().optional(),
  /** Accepted rows of each day and replace scope; empty for a dataset without a window column. */
  days: z.array(z.object({ scope: z.string(), day: Day, rows: Count })),
  /** How ambiguous columns were read. */
  decisions: z.array(ColumnDecision).default([]),
  reasons: z.array(z.object({ column: z.string().nullable(), code: z.string(), count: Count })),
  /** Number of records outside the declared window, if all of them are of the day declared as `to`. */
  onlyOnWindowEnd: Count.optional(),
  /** Counts of cells of accepted records whose text was cleaned, or that contain a declared null word. */
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
  /** Number of rows that it replaced or changed, kept in the before-image. Absent from loads made before undo existed. */
  beforeRows: Count.optional(),
})
export type LoadOutput = z.infer<typeof LoadOutput>

/** What `load` reversed for an undo. */
export const UndoOutput = z.object({ updateId: z.uuid(), deleted: Count, restored: Count })
export type UndoOutput = z.infer<typeof UndoOutput>

/** What `load` determined for a dry run. */
export const DryRunOutput = z.object({
  wouldDo: z.string(),
  /** The code of the failure with which the import itself would be refused. */
  refused: z.string().optional(),
})
export type DryRunOutput = z.infer<typeof DryRunOutput>

/** Returns the output of an earlier stage. @throws Error if that stage is not done, which `beginStage` rules out */
export async function readOutput<T extends z.ZodType>(
  db: Database,
  jobId: string,
  stage: StageName,
  schema: T,
): Promise<z.output<T>> {
  return schema.parse(await stageOutput(db, jobId, stage))
}

/** Returns the part of an import's result that describes how its file was read. The days are known only after validation. */
export function recognised(
  parsed: Pick<
    ParseOutput,
    | 'format'
    | 'encoding'
    | 'encodingSure'
    | 'delimiter'
    | 'headerLine'
    | 'columns'
    | 'preamble'
    | 'ignored'
    | 'absent'
    | 'skipped'
    | 'warnings'
  >,
  days: readonly string[] = [],
): Record<string, unknown> {
  const sorted = [...days].sort()
  return {
    format: parsed.format,
    encoding: parsed.encoding,
    encodingSure: parsed.encodingSure,
    delimiter: parsed.delimiter,
    headerLine: parsed.headerLine,
    columns: parsed.columns,
    preamble: parsed.preamble,
    ignoredColumns: parsed.ignored,
    absentColumns: parsed.absent,
    skippedLines: parsed.skipped,
    firstDay: sorted[0] ?? null,
    lastDay: sorted.at(-1) ?? null,
    days: new Set(days).size,
    warnings: parsed.warnings,
  }
}
