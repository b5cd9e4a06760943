import { z } from 'zod'
import { Counts } from './counts.ts'
import { Day, Moment } from './dates.ts'
import { DeclaredEncoding } from './encodings.ts'
import { JobFailure } from './failures.ts'
import { ImportWarning } from './import-warnings.ts'
import { JobStatus, JobType, WaitingFor } from './job-states.ts'
import { StageName } from './stages.ts'
import { StorableText } from './text.ts'

const Instant = z.iso.datetime()

/** A file that a stage left behind and that can be downloaded. */
export const Artifact = z.strictObject({
  name: z.string(),
  bytes: z.int(),
  sha256: z.string(),
  mediaType: z.string(),
  /** When its bytes were removed, because the time for which its dataset keeps them was over. */
  removedAt: Instant.nullable(),
})
export type Artifact = z.infer<typeof Artifact>

/**
 * How an attempt at a stage stands. `lost`: its worker died. `parked`: the job waits for a window or an approval. `released`:
 * its worker gave it back unfinished. `discarded`: it was done, but what it left is gone, so it is done again.
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
  /** It shows what it would do and changes nothing; its counts are those of the load that it stands for. */
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
  /** What a person should look at although the import went on. Known once its records are checked. */
  warnings: z.array(ImportWarning),
  /** The import has been taken back: its rows are gone from the table. */
  batchDeleted: z.boolean(),
  /** The job that took the import back. */
  undoneBy: z.uuid().nullable(),
  createdAt: Instant,
  startedAt: Instant.nullable(),
  completedAt: Instant.nullable(),
  updatedAt: Instant,
})
export type Job = z.infer<typeof Job>

const Flag = z.stringbool()
const FROM_MINUS_100 = 'must be a whole number from -100 to 100'

/** The form fields of an import beside the file itself, as they arrive: all text. */
export const ImportForm = z.strictObject({
  dataset: StorableText.min(1).max(63),
  from: Day.optional(),
  to: Day.optional(),
  scope: StorableText.max(200).optional(),
  mode: z.enum(['replace-window', 'upsert', 'append']).optional(),
  force: Flag.default(false),
  onConflict: z.enum(['reject', 'wait']).default('reject'),
  /** Show what the import would do, and change nothing. */
  dryRun: Flag.default(false),
  /** Stop before the load until somebody has approved its preview. */
  requireApproval: Flag.default(false),
  /** How many records the file has, as its sender counts; if it has more or fewer, nothing is loaded. */
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

/** A job that has been accepted, and can be followed by its id. */
export const JobAccepted = z.strictObject({ id: z.uuid(), status: JobStatus })
export type JobAccepted = z.infer<typeof JobAccepted>

export const ImportAccepted = z.strictObject({ id: z.uuid(), status: JobStatus })
export type ImportAccepted = z.infer<typeof ImportAccepted>

export const JobQuery = z.strictObject({
  status: JobStatus.optional(),
  /** Those that wait: for other days' owners, for approval, or for another job. */
  waitingFor: WaitingFor.optional(),
  type: JobType.optional(),
  dataset: StorableText.max(63).optional(),
  /** Also imports that have been taken back. */
  includeUndone: Flag.default(false),
  cursor: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
})
export type JobQuery = z.infer<typeof JobQuery>

/** A page of a list; `next` is the cursor of the following page, null on the last. */
export function page<T extends z.ZodType>(
  item: T,
): z.ZodObject<{ items: z.ZodArray<T>; next: z.ZodNullable<z.ZodString> }> {
  return z.strictObject({ items: z.array(item), next: z.string().nullable() })
}
