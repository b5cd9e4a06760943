import { z } from 'zod'
import { LoadMode } from './dataset-definition.ts'
import { Day } from './dates.ts'

const Count = z.int().nonnegative()
/** A number as text, exact: `-12.500`. */
const Decimal = z.string().regex(/^-?\d+(\.\d+)?$/)

/**
 * How a load changes rows. Rows are matched by the natural key or the unique columns: `unchanged` rows exist with the same
 * values, `changed` rows with other values. Without either, rows are matched by all of their values, and `changed` is 0.
 * Row ids, lineage and managed columns are not compared.
 */
export const RowChanges = z.strictObject({
  inserted: Count,
  changed: Count,
  unchanged: Count,
  removed: Count,
})
export type RowChanges = z.infer<typeof RowChanges>

/** Returns true if any row is inserted, changed or removed. */
export function hasChanges({ inserted, changed, removed }: RowChanges): boolean {
  return inserted + changed + removed > 0
}

/**
 * The changes of one day and replace scope, and its rows before and after. A changed row that moves to another day
 * counts as changed on its new one, so `after` need not be `before + inserted - removed`. Without window column the
 * day is null.
 */
export const DayChanges = RowChanges.extend({
  scope: z.string(),
  day: Day.nullable(),
  before: Count,
  after: Count,
})
export type DayChanges = z.infer<typeof DayChanges>

/**
 * What a load would change: rows, and the sums of measure columns, over all touched days. Rows of companies and warehouses
 * that the uploader may not change are not counted.
 */
export const LoadPreview = z.strictObject({
  mode: LoadMode,
  /** The columns by which rows are matched; null if by all values, or if nothing is replaced. */
  matchedBy: z.array(z.string()).nullable(),
  totals: RowChanges,
  /** Of an append: the number of its rows that the table already has. */
  alreadyPresent: Count.default(0),
  /** Of an upsert: the number of changed rows with an equal version but other values, and the key of one. */
  sameVersion: z
    .strictObject({ rows: Count, example: z.string().nullable() })
    .default({ rows: 0, example: null }),
  /** Rows of the touched days before and after the load. */
  rows: z.strictObject({ before: Count, after: Count }),
  /** The touched days in order, at most `maxWindowDays` of the dataset. Days without changes are omitted first. */
  days: z.array(DayChanges),
  /** Number of touched days that are not in the list. The totals include them. */
  daysLeftOut: Count,
  /** Sums of the measure columns over the touched days. An empty value counts as 0. */
  sums: z.array(z.strictObject({ column: z.string(), before: Decimal, after: Decimal })),
  /** Codes that the dimension does not have yet. The load creates them. */
  newMembers: z.array(
    z.strictObject({ column: z.string(), codes: Count, examples: z.array(z.string()).max(20) }),
  ),
})
export type LoadPreview = z.infer<typeof LoadPreview>

/**
 * Why an import waits for approval: the uploader requested it, it exceeds a limit of the dataset, the file is ambiguous, or
 * the preview has changed since an earlier request for approval.
 */
export const ApprovalReason = z.strictObject({
  code: z.enum(['requested', 'too_many_rows', 'too_large_share', 'ambiguous', 'lapsed']),
  detail: z.string(),
})
export type ApprovalReason = z.infer<typeof ApprovalReason>

/** A preview as it is stored. `needsApproval`: why the load requires approval; empty if it does not. */
export const StoredPreview = z.strictObject({
  preview: LoadPreview,
  needsApproval: z.array(ApprovalReason),
})
export type StoredPreview = z.infer<typeof StoredPreview>

/** The preview of a job in the API. An approval is valid for its `basis` only. */
export const JobPreview = z.strictObject({
  jobId: z.uuid(),
  dryRun: z.boolean(),
  /** SHA-256 of everything that the outcome of the load depends on. */
  basis: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits'),
  preview: LoadPreview,
  /** Why the import requires (a dry run: would require) approval; empty if it does not. */
  needsApproval: z.array(ApprovalReason),
  createdAt: z.iso.datetime(),
  approvedBy: z.strictObject({ id: z.uuid(), email: z.string() }).nullable(),
  approvedAt: z.iso.datetime().nullable(),
})
export type JobPreview = z.infer<typeof JobPreview>

/** The preview to approve; without a basis, the current one. */
export const ApproveRequest = z.strictObject({ basis: JobPreview.shape.basis.optional() })
export type ApproveRequest = z.infer<typeof ApproveRequest>
