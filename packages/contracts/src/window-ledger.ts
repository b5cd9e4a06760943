import { z } from 'zod'
import { Day, NearDay } from './dates.ts'

/**
 * How a day of a dataset stands: `loaded` by a job, `partial` when records of that job are still open in quarantine,
 * `locked` while a job may write it, `missing` when nothing was ever loaded, `undone` when its load was taken back.
 */
const DayState = z.enum(['loaded', 'partial', 'locked', 'missing', 'undone'])
export type DayState = z.infer<typeof DayState>

/**
 * A day in the window ledger. `jobId` is the job that owns the rows, or holds the lock; null when there is none that the
 * reader may see. `rows` is null when some of them are of companies or warehouses that the reader may not see.
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
