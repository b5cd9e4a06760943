import { z } from 'zod'
import { Day, NearDay } from './dates.ts'

/**
 * The state of a day of a dataset: `loaded` by a job, `partial` while records of that job are open in quarantine, `locked`
 * while a job may write it, `missing` if nothing was ever loaded, `undone` if its load was undone.
 */
const DayState = z.enum(['loaded', 'partial', 'locked', 'missing', 'undone'])
export type DayState = z.infer<typeof DayState>

/**
 * A day in the window ledger. `jobId` is the job that owns the rows or holds the lock; null if the user may not see it, or
 * there is none. `rows` is null if some rows belong to companies or warehouses that the user may not see.
 */
export const LedgerDay = z.strictObject({
  scope: z.string(),
  day: Day,
  state: DayState,
  rows: z.int().nonnegative().nullable(),
  jobId: z.uuid().nullable(),
  updatedAt: z.iso.datetime().nullable(),
})
export type LedgerDay = z.infer<typeof LedgerDay>

export const LedgerQuery = z.strictObject({
  from: NearDay.optional(),
  to: NearDay.optional(),
  scope: z.string().max(200).optional(),
})
export type LedgerQuery = z.infer<typeof LedgerQuery>
