import { z } from 'zod'
import { Counts } from './counts.ts'
import { LoadMode } from './dataset-definition.ts'
import { Day, Moment } from './dates.ts'
import { DeclaredEncoding } from './encodings.ts'
import { JobFailure } from './failures.ts'
import { ImportWarning } from './import-warnings.ts'
import { JobStatus, JobType, WaitingFor } from './job-states.ts'
import { StageName } from './stages.ts'
import { StorableText } from './text.ts'

const Instant = z.iso.datetime()

/** A file of a stage that can be downloaded. */
export const Artifact = z.strictObject({
  name: z.string(),
  bytes: z.int(),
  sha256: z.string(),
  mediaType: z.string(),
  /** When its bytes were removed at the end of their retention. */
  removedAt: Instant.nullable(),
})
export type Artifact = z.infer<typeof Artifact>

/**
 * The state of a stage attempt. `lost`: its worker died. `parked`: the job waits for a window or an approval. `released`:
 * its worker returned it unfinished. `discarded`: it was done, but its files are lost, so it is repeated.
 */
const StageAttemptState = z.enum(['running', 'done', 'failed', 'lost', 'parked', 'released', 'discarded'])

/** One attempt of a worker at one stage. */
export const StageAttempt = z.strictObject({
  stage: StageName,
  attempt: z.int(),
  state: StageAttemptState,
  startedAt: Instant,
  finishedAt: Instant.nullable(),
  error: JobFailure.nullable(),
})
export type StageAttempt = z.infer<typeof StageAttempt>

/** A job as the API shows it. */
export const Job = z.strictObject({
  id: z.uuid(),
  type: JobType,
  status: JobStatus,
  stage: StageName.nullable(),
  waitingFor: WaitingFor.nullable(),
  /** The job changes nothing. Its counts are those that the load would have. */
  dryRun: z.boolean(),
  progress: z.number().min(0).max(100),
  message: z.string(),
  dataset: z.string().nullable(),
  user: z.strictObject({ id: z.uuid(), email: z.string() }),
  parameters: z.record(z.string(), z.unknown()),
  counts: Counts,
  rowsPerSecond: z.number().nullable(),
  etaSeconds: z.number().nullable(),
  error: JobFailure.nullable(),
  attempts: z.array(StageAttempt),
  parent: z.uuid().nullable(),
  artifacts: z.array(Artifact),
  totalItems: z.int().nullable(),
  processedItems: z.int().nullable(),
  result: z.record(z.string(), z.unknown()).nullable(),
  /** What a user should check although the import continued. Filled after validation. */
  warnings: z.array(ImportWarning),
  /** The import is undone: its rows are deleted. */
  batchDeleted: z.boolean(),
  /** The job that undid the import. */
  undoneBy: z.uuid().nullable(),
  createdAt: Instant,
  startedAt: Instant.nullable(),
  completedAt: Instant.nullable(),
  updatedAt: Instant,
})
export type Job = z.infer<typeof Job>

const Flag = z.stringbool()
const FROM_MINUS_100 = 'must be a whole number from -100 to 100'

/** The form fields of an import, without the file. All arrive as text. */
export const ImportForm = z.strictObject({
  dataset: StorableText.min(1).max(63),
  from: Day.optional(),
  to: Day.optional(),
  scope: StorableText.max(200).optional(),
  mode: LoadMode.optional(),
  force: Flag.default(false),
  onConflict: z.enum(['reject', 'wait']).default('reject'),
  /** Show what the import would change, and change nothing. */
  dryRun: Flag.default(false),
  /** Wait for approval of the preview before the load. */
  requireApproval: Flag.default(false),
  /** The number of records that the sender counted. If the file has another number, nothing is loaded. */
  expectedRecords: z
    .string()
    .regex(/^\d{1,12}$/, 'must be a whole number')
    .transform(Number)
    .optional(),
  priority: z
    .string()
    .regex(/^-?\d{1,3}$/, FROM_MINUS_100)
    .transform(Number)
    .pipe(z.int().min(-100, FROM_MINUS_100).max(100, FROM_MINUS_100))
    .default(0),
  startAt: Moment.optional(),
  encoding: DeclaredEncoding.optional(),
  delimiter: z
    .string()
    .regex(/^[\t!#-&(-\x2f:-@[-`{-~ ]$/, 'must be one character that is not a letter, a digit or a quote')
    .optional(),
})
export type ImportForm = z.infer<typeof ImportForm>

/** An accepted job. */
export const JobAccepted = z.strictObject({ id: z.uuid(), status: JobStatus })
export type JobAccepted = z.infer<typeof JobAccepted>

export const ImportAccepted = z.strictObject({ id: z.uuid(), status: JobStatus })
export type ImportAccepted = z.infer<typeof ImportAccepted>

export const JobQuery = z.strictObject({
  status: JobStatus.optional(),
  /** Only jobs that wait: for a window or for approval. */
  waitingFor: WaitingFor.optional(),
  type: JobType.optional(),
  dataset: StorableText.max(63).optional(),
  /** Include undone imports. */
  includeUndone: Flag.default(false),
  cursor: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
})
export type JobQuery = z.infer<typeof JobQuery>

/** Returns the schema of a page of a list; `next` is the cursor of the following page, null on the last. */
export function page<T extends z.ZodType>(
  item: T,
): z.ZodObject<{ items: z.ZodArray<T>; next: z.ZodNullable<z.ZodString> }> {
  return z.strictObject({ items: z.array(item), next: z.string().nullable() })
}
