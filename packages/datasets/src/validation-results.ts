import { z } from 'zod'

/** `records = good + rejected + duplicates` is for the caller to check. */
export const Totals = z.object({
  records: z.int().min(0),
  good: z.int().min(0),
  rejected: z.int().min(0),
  duplicates: z.int().min(0),
})
export type Totals = z.infer<typeof Totals>

/** Clean rows per value of the replace scope ('' if none) and day. */
export const DayCount = z.object({ scope: z.string(), day: z.iso.date(), rows: z.int().positive() })
export type DayCount = z.infer<typeof DayCount>

/** The companies and warehouses in the clean rows. */
export const ScopePresent = z.object({ company: z.string().nullable(), warehouse: z.string().nullable() })
export type ScopePresent = z.infer<typeof ScopePresent>

/** What a validation found. `days` and `scopes` are empty where the definition has no window column or scope. */
export interface ValidationResult {
  totals: Totals
  days: DayCount[]
  scopes: ScopePresent[]
}

const Answers = z.object({
  totals: z.object({ rows: z.tuple([Totals]) }),
  days: z.object({ rows: z.array(DayCount) }).optional(),
  scopes: z.object({ rows: z.array(ScopePresent) }).optional(),
})

/** Reads the answers of the statements of `compileValidation`, by name. Throws a ZodError when they are not those. */
export function readValidation(answers: unknown): ValidationResult {
  const { totals, days, scopes } = Answers.parse(answers)
  return { totals: totals.rows[0], days: days?.rows ?? [], scopes: scopes?.rows ?? [] }
}
