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
  /** Records that agree in what must be unique with one that was kept, but differ elsewhere. */
  conflicts: number
}

/** All records that conflict, those that are rejected for it included, and the first of them. */
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

/** The times of a column that exist twice, where the definition does not say which of the two they are. */
const RepeatedTimes = z.object({ column: z.string(), rows: z.int(), line: z.int().nullable() })
export type RepeatedTimes = z.infer<typeof RepeatedTimes>

/** How many cells of a column something is told of. */
export const CellCount = z.object({ column: z.string(), count: z.int().positive() })
export type CellCount = z.infer<typeof CellCount>

/** What a validation found. `days` and `scopes` are empty where the definition has no window column or scope. */
export interface ValidationResult {
  /** The file with the clean rows: `_rec, _line`, typed columns. */
  clean: string
  files: ValidationFiles
  totals: Totals
  days: DayCount[]
  scopes: ScopePresent[]
  /** For each column that has such times. */
  repeated: RepeatedTimes[]
  /** Of the rejects whose reasons were collected: those outside of the declared window, and those of its end. */
  outsideWindow: number
  onWindowEnd: number
  /** Cells of accepted records by what is told of them. */
  notes: Record<Note, CellCount[]>
  /** Undefined when no records conflict. */
  conflicting: Conflicting | undefined
  /** Equal for equal clean rows in any order. Only of an append that has rows. */
  digest: string | undefined
}

const NoteCount = z.object({ note: z.string(), cells: z.int().positive() })

/** The shapes of the answers of a validation's statements. */
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

/** How many cells of each column there are of each kind of note. */
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
