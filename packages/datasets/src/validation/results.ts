import { z } from 'zod'
import type { Note } from './rules/text.ts'
import type { CompiledValidation } from './validation.ts'

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
export const ScopePresent = z.object({ company: z.string().nullable(), warehouse: z.string().nullable() })
export type ScopePresent = z.infer<typeof ScopePresent>

/** The times of a column that exist twice, where the definition does not say which of the two they are. */
export const RepeatedTimes = z.object({ column: z.string(), rows: z.int(), line: z.int().nullable() })
export type RepeatedTimes = z.infer<typeof RepeatedTimes>

/** How many cells of a column something is told of. */
export const CellCount = z.object({ column: z.string(), count: z.int().positive() })
export type CellCount = z.infer<typeof CellCount>

/** What a validation found. `days` and `scopes` are empty where the definition has no window column or scope. */
export interface ValidationResult {
  /** The file with the clean rows: `_rec, _line`, typed columns. */
  clean: string
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

const Count = z
  .object({ rows: z.tuple([z.object({ rows: z.int().min(0) })]) })
  .transform(({ rows: [only] }) => only.rows)

const NoteCount = z.object({ note: z.string(), cells: z.int().positive() })
const Example = z.object({
  lost: z.int(),
  rejected: z.int(),
  line: z.int(),
  column: z.string(),
  message: z.string(),
})

// What has not run had nothing to count.
const Answers = z.object({
  records: Count,
  good: Count,
  rejected: Count.optional(),
  duplicates: Count.optional(),
  kept: Count.optional(),
  conflicts: z.object({ rows: z.tuple([Example]) }).optional(),
  digest: z.object({ rows: z.tuple([z.object({ digest: z.string().nullable() })]) }).optional(),
  days: z.object({ rows: z.array(DayCount) }).optional(),
  scopes: z.object({ rows: z.array(ScopePresent) }).optional(),
  repeated: z.object({ rows: z.array(RepeatedTimes) }).optional(),
  'outside-window': z.object({ rows: z.tuple([z.object({ rows: z.int(), onEnd: z.int() })]) }).optional(),
  notes: z.object({ rows: z.array(NoteCount) }),
})

/** Reads the answers of a validation's statements, by name. Throws a ZodError when they are not those. */
export function readValidation({ outputs }: CompiledValidation, answers: unknown): ValidationResult {
  const {
    records,
    good,
    rejected = 0,
    duplicates = 0,
    kept,
    conflicts,
    digest,
    days,
    scopes,
    repeated,
    notes,
    ...more
  } = Answers.parse(answers)
  const outside = more['outside-window']?.rows[0]
  const conflicting = conflicts?.rows[0]
  return {
    clean: kept === undefined ? outputs.good : outputs.unique,
    totals: { records, good: kept ?? good, rejected, duplicates, conflicts: conflicting?.lost ?? 0 },
    days: days?.rows ?? [],
    scopes: scopes?.rows ?? [],
    repeated: (repeated?.rows ?? []).filter(({ rows }) => rows > 0),
    outsideWindow: outside?.rows ?? 0,
    onWindowEnd: outside?.onEnd ?? 0,
    notes: {
      cleaned: cellCounts(notes.rows, 'cleaned'),
      null_word: cellCounts(notes.rows, 'null_word'),
      undeclared: cellCounts(notes.rows, 'undeclared'),
    },
    conflicting,
    digest: digest?.rows[0].digest ?? undefined,
  }
}

function cellCounts(rows: readonly z.infer<typeof NoteCount>[], wanted: Note): CellCount[] {
  return rows.flatMap(({ note, cells }) => {
    const [kind, column = ''] = note.split(':')
    return kind === wanted ? [{ column, count: cells }] : []
  })
}
