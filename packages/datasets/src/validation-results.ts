import { z } from 'zod'

/** Rows of the query `results.totals`: one. `records = good + rejected + duplicates` is for the caller to check. */
export const Totals = z.object({
  records: z.int().min(0),
  good: z.int().min(0),
  rejected: z.int().min(0),
  duplicates: z.int().min(0),
})
export type Totals = z.infer<typeof Totals>

/** Rows of the query `results.days`: clean rows per value of the replace scope ('' if none) and day. */
export const DayCount = z.object({ scope: z.string(), day: z.iso.date(), rows: z.int().positive() })
export type DayCount = z.infer<typeof DayCount>

/** Rows of the query `results.scopes`: the companies and warehouses in the clean rows. */
export const ScopePresent = z.object({ company: z.string().nullable(), warehouse: z.string().nullable() })
export type ScopePresent = z.infer<typeof ScopePresent>
