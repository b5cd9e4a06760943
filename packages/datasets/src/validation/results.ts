import { z } from 'zod'
import type { Note } from '../rules/text.ts'
import type { ValidationFiles } from './plan.ts'

/** `records = good + rejected + duplicates + conflicts` is for the caller to check. */
export interface Totals {
  records: number
  /** Clean rows. */
  good: number
  rejected: number
  duplicates: number
  /** Records that equal a kept one in what must be unique, but differ elsewhere. */
  conflicts: number
}

/** All conflicting records, including those rejected for it, and the first of them. */
export interface Conflicting {
  lost: number
  rejected: number
  line: number
  column: string
  /** What its value is, and what it is in the other record. */
  message: string
}

/** Clean rows per value of the replace scope ('' if none) and day, and the line of the first of them. */
export const DayCount = z.object({
  scope: z.string(),
  day: z.iso.date(),
  rows: z.int().positive(),
  line: z.int().positive(),
})
export type DayCount = z.infer<typeof DayCount>

/** The companies and warehouses in the clean rows. */
const ScopePresent = z.object({ company: z.string().nullable(), warehouse: z.string().nullable() })
export type ScopePresent = z.infer<typeof ScopePresent>

/** The times of a column that exist twice, if the definition does not declare which of the two applies. */
const RepeatedTimes = z.object({ column: z.string(), rows: z.int(), line: z.int().nullable() })
export type RepeatedTimes = z.infer<typeof RepeatedTimes>

/** The number of cells of a column with a note. */
export const CellCount = z.object({ column: z.string(), count: z.int().positive() })
export type CellCount = z.infer<typeof CellCount>

/** The results of a validation. `days` and `scopes` are empty if the definition has no window column or scope. */
export interface ValidationResult {
  /** The file with the clean rows: `_rec, _line`, typed columns. */
  clean: string
  files: ValidationFiles
  totals: Totals
  days: DayCount[]
  scopes: ScopePresent[]
  /** For each column that has such times. */
  repeated: RepeatedTimes[]
  /** Rejects, among those with collected reasons, outside of the declared window, and on its `to` day. */
  outsideWindow: number
  onWindowEnd: number
  /** Cells of accepted records, by note. */
  notes: Record<Note, CellCount[]>
  /** Undefined if no records conflict. */
  conflicting: Conflicting | undefined
  /** Equal for equal clean rows in any order. Only for an append with rows. */
  digest: string | undefined
}

const NoteCount = z.object({ note: z.string(), cells: z.int().positive() })

/** The schemas of the results of a validation's statements. */
export const Answers = {
  count: one(z.object({ rows: z.int().min(0) })),
  counts: one(z.object({ records: z.int().min(0), good: z.int().min(0) })),
  conflictCounts: one(z.object({ lost: z.int(), rejected: z.int() })),
  conflict: one(z.object({ line: z.int(), column: z.string(), message: z.string() })),
  uniqueCounts: one(z.object({ duplicates: z.int(), kept: z.int() })),
  outsideWindow: z.object({ rows: z.int(), onEnd: z.int() }),
  results: z.object({
    notes: z.object({ rows: z.array(NoteCount) }).optional(),
    digest: z.object({ rows: one(z.object({ digest: z.string().nullable() })) }).optional(),
    days: z.object({ rows: z.array(DayCount) }).optional(),
    scopes: z.object({ rows: z.array(ScopePresent) }).optional(),
    repeated: z.object({ rows: z.array(RepeatedTimes) }).optional(),
  }),
}

function one<T extends z.ZodType>(row: T) {
  return z.tuple([row])
}

/** Returns the number of cells of each column, by kind of note. */
export function notesByKind(rows: readonly z.infer<typeof NoteCount>[]): Record<Note, CellCount[]> {
  return {
    cleaned: cellCounts(rows, 'cleaned'),
    null_word: cellCounts(rows, 'null_word'),
    undeclared: cellCounts(rows, 'undeclared'),
  }
}

function cellCounts(rows: readonly z.infer<typeof NoteCount>[], wanted: Note): CellCount[] {
  return rows.flatMap(({ note, cells }) => {
    const [kind, column = ''] = note.split(':')
    return kind === wanted ? [{ column, count: cells }] : []
  })
}
