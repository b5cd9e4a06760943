import { z } from 'zod'
import { LoadMode } from './dataset-definition.ts'
import { Day } from './dates.ts'

const Count = z.int().nonnegative()
/** A number as text, exact: `-12.500`. */
const Decimal = z.string().regex(/^-?\d+(\.\d+)?$/)

/**
 * What a load does to rows. Rows are matched by the natural key or by the declared unique columns: `unchanged` rows are
 * there with the same values, `changed` ones with others. A dataset that declares neither matches rows by all of their
 * values, and knows no `changed`. Row ids, lineage and managed columns are not compared.
 */
export const RowChanges = z.strictObject({
  inserted: Count,
  changed: Count,
  unchanged: Count,
  removed: Count,
})
export type RowChanges = z.infer<typeof RowChanges>

/** True when rows come, go or change. */
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
 * What a load would do: to rows, and to the sums of the columns that measure something, over all days that it touches. Rows of companies
 * and warehouses that the import may not touch stay as they are, and are not counted anywhere.
 */
export const LoadPreview = z.strictObject({
  mode: LoadMode,
  /** The columns by which rows are matched; null when by all of their values, or when nothing is replaced. */
  matchedBy: z.array(z.string()).nullable(),
  totals: RowChanges,
  /** Of an append: how many of its rows are in the table already, each as often as it is there. */
  alreadyPresent: Count.default(0),
  /** Of an upsert: how many of the changed rows have the version of the record, but other values, and one such key. */
  sameVersion: z
    .strictObject({ rows: Count, example: z.string().nullable() })
    .default({ rows: 0, example: null }),
  /** Rows of the touched days before and after the load. */
  rows: z.strictObject({ before: Count, after: Count }),
  /** The touched days in order, at most so many as the dataset's `maxWindowDays`; those that do not change are left out first. */
  days: z.array(DayChanges),
  /** Touched days that are not in the list; the totals contain them. */
  daysLeftOut: Count,
  /** Sums of the columns that measure something, over the touched days; an empty value counts as 0. */
  sums: z.array(z.strictObject({ column: z.string(), before: Decimal, after: Decimal })),
  /** Codes that no member of the dimension has yet; the load creates them. */
  newMembers: z.array(
    z.strictObject({ column: z.string(), codes: Count, examples: z.array(z.string()).max(20) }),
  ),
})
export type LoadPreview = z.infer<typeof LoadPreview>

/**
 * Why an import waits for approval: its uploader asked for it, it changes more rows than the dataset allows by itself,
 * or a person has been asked already and what was shown then has changed.
 */
export const ApprovalReason = z.strictObject({
  code: z.enum(['requested', 'too_many_rows', 'too_large_share', 'ambiguous', 'lapsed']),
  detail: z.string(),
})
export type ApprovalReason = z.infer<typeof ApprovalReason>

/** A preview as it is stored. `needsApproval`: why the load must be approved first; empty when it need not. */
export const StoredPreview = z.strictObject({
  preview: LoadPreview,
  needsApproval: z.array(ApprovalReason),
})
export type StoredPreview = z.infer<typeof StoredPreview>

/** The preview of a job as the API shows it. Approved is what `basis` stands for, and nothing else. */
export const JobPreview = z.strictObject({
  jobId: z.uuid(),
  dryRun: z.boolean(),
  /** SHA-256 over all that the outcome of the load depends on. */
  basis: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits'),
  preview: LoadPreview,
  /** Why the import needs (or, for a dry run, would need) an approval; empty when it needs none. */
  needsApproval: z.array(ApprovalReason),
  createdAt: z.iso.datetime(),
  approvedBy: z.strictObject({ id: z.uuid(), email: z.string() }).nullable(),
  approvedAt: z.iso.datetime().nullable(),
})
export type JobPreview = z.infer<typeof JobPreview>

/** What is approved: without a basis, the preview as it now stands. */
export const ApproveRequest = z.strictObject({ basis: JobPreview.shape.basis.optional() })
export type ApproveRequest = z.infer<typeof ApproveRequest>
