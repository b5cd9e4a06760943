import { z } from 'zod'
import type { CompiledValidation } from './validation.ts'

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
  /** The file with the clean rows: `_rec, _line`, typed columns. */
  clean: string
  totals: Totals
  days: DayCount[]
  scopes: ScopePresent[]
}

const Answers = z.object({
  totals: z.object({ rows: z.tuple([Totals]) }),
  days: z.object({ rows: z.array(DayCount) }).optional(),
  scopes: z.object({ rows: z.array(ScopePresent) }).optional(),
})

/** Reads the answers of a validation's statements, by name. Throws a ZodError when they are not those. */
export function readValidation({ outputs }: CompiledValidation, answers: unknown): ValidationResult {
  const { totals, days, scopes } = Answers.parse(answers)
  const [counts] = totals.rows
  const clean = counts.duplicates > 0 ? outputs.unique : outputs.good
  return { clean, totals: counts, days: days?.rows ?? [], scopes: scopes?.rows ?? [] }
}
