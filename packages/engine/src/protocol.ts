import { STRUCTURAL_CODES } from '@aduana/contracts/rejects'
import { z } from 'zod'
import type { EncodingDoubt } from './encoding/guess.ts'
import { ENGINE_ERROR_CODES } from './errors.ts'
import type { ExtraCells } from './scan/split-numbers.ts'
import type { UnnamedColumn } from './scan/unnamed-columns.ts'
import { BYTE_ENCODINGS, ENCODINGS } from './text.ts'

const count = z.number().int().nonnegative()
const encoding = z.enum(ENCODINGS)
const format = z.enum(['plain', 'gzip'])

/** A value bound to `$1`, `$2` … of a statement; an array is a list of strings. */
const sqlParameter = z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(z.string()).readonly()])
export type SqlParameter = z.infer<typeof sqlParameter>

/** Converts an original to a Parquet file of text columns plus the structural rejects. */
export const parseTask = z.object({
  type: z.literal('parse'),
  /** The job's folder, the only one that DuckDB can access. `output` and `rejects` must be in it. */
  workDir: z.string(),
  input: z.string(),
  output: z.string(),
  rejects: z.string(),
  format,
  /** `auto`, unless the encoding was declared or is certain. */
  encoding: z.union([encoding, z.literal('auto')]),
  delimiter: z.string(),
  quote: z.string().nullable(),
  /** Offset of the first byte after the header row, in unpacked bytes, and its physical line. */
  dataOffset: count,
  dataLine: count,
  /** Number of columns in the header row, mapped or not. */
  expectedColumns: count,
  /** How the header's line ends, and what its cells mean. Used to recognise broken records and repeated headers. */
  lineEnd: z.enum(['lf', 'crlf', 'cr']).optional(),
  header: z
    .object({
      cells: z.array(z.string()),
      names: z.record(z.string(), z.string()),
      line: count,
      width: count,
    })
    .optional(),
  /** The columns to keep: index in the header row from 0, and name in the Parquet file, in its order. */
  columns: z.array(z.object({ index: count, name: z.string().min(1) })).min(1),
  /** Indexes of the columns whose header cell is blank. The result reports whether they have values. */
  unnamed: z.array(count).optional(),
  limits: z
    .object({
      maxRecordBytes: count.optional(),
      maxRawBytes: count.optional(),
      maxBytes: count.optional(),
      /** Stops reading as soon as more than this share of all records must be structural rejects, and at least `floor` are. */
      rejects: z.object({ share: z.number().min(0).max(1), floor: count }).optional(),
    })
    .default({}),
})

/** Runs SQL over the files of a folder, in one database that lasts until the parent ends the task. */
export const queryTask = z.object({ type: z.literal('query'), workDir: z.string() })

export const statement = z.object({
  name: z.string(),
  sql: z.string(),
  params: z.array(sqlParameter).optional(),
  as: z.enum(['rows', 'none']),
})
export type Statement = z.input<typeof statement>

/** Statements of a query task, executed in order. */
export const batch = z.object({
  statements: z.array(statement).readonly(),
  /** A statement that returns more rows than this fails. */
  maxRows: count.default(100_000),
  /** The share of the whole task that is done after this batch. */
  until: z.number().min(0).max(1).default(1),
})
export type Batch = z.infer<typeof batch>

/** Writes the complete rejects of a parsed file, with their original text. */
export const rejectsTask = z.object({
  type: z.literal('rejects'),
  workDir: z.string(),
  original: z.string(),
  format,
  /** As parsing reported it. */
  encoding,
  /**
   * Selects `_rec, _line, _off, _len, reasons`, in any order; reasons are JSON text or a list of structs. Null if no
   * row failed.
   */
  sql: z.string().nullable(),
  params: z.array(sqlParameter).optional(),
  /** The structural rejects of the same parsing. */
  structural: z.string().nullable(),
  output: z.string(),
  maxRawBytes: count.optional(),
  /** Maximum number of rejects to write, and of their bytes before compression. */
  most: z.object({ rejects: count, bytes: count }).optional(),
})

/** The content of a gzip file. */
const content = z.object({ bytes: count, sha256: z.string() })

const task = z.discriminatedUnion('type', [parseTask, queryTask, rejectsTask])
export type Task = z.infer<typeof task>

const encodingDoubt = z
  .object({
    characters: count,
    odd: count,
    sample: z.string(),
    rival: z.object({ encoding: z.enum(BYTE_ENCODINGS), sample: z.string() }).nullable(),
    invalid: z.object({ line: count }).nullable(),
  })
  .nullable() satisfies z.ZodType<EncodingDoubt | null>

export const parseResult = z.object({
  records: count,
  good: count,
  structuralRejects: count,
  /** Number of blank lines and records without any value after the header. */
  skipped: count,
  /** The first line that names other columns than the header, or the same in another order. */
  otherHeader: z.object({ line: count, cells: z.array(z.string()) }).nullable(),
  /** Good records with more cells than the header, all of them blank, in a file with comma delimiters. */
  extraCells: z
    .object({
      records: count,
      halves: z.array(z.object({ index: count, records: count })),
      ...{ line: count, width: count, text: z.string() },
    })
    .nullable() satisfies z.ZodType<ExtraCells | null>,
  /** Columns without a name that have values, except for numbers of the records. */
  unnamedColumns: z.array(
    z.object({ index: count, records: count, line: count, text: z.string() }),
  ) satisfies z.ZodType<UnnamedColumn[]>,
  /** Size after unpacking. */
  bytes: count,
  /** Some field contained a line break (already restored in the Parquet file). */
  embedded: z.boolean(),
  encoding,
  /** Why the encoding may be another; null if it is certain. */
  encodingDoubt,
  /** Reading stopped because the file fails by the limit of rejects; there is no Parquet file. */
  stopped: z.boolean(),
  rejectsContent: content,
  rejectCounts: z.partialRecord(z.enum(STRUCTURAL_CODES), count),
  transcodeMs: count,
  parquetMs: count,
})
export type ParseResult = z.infer<typeof parseResult>

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
/** One row of a result. A bigint is a number if it is safe, else a string; dates are ISO strings; decimals are strings. */
export type Row = Record<string, Json>

// What arrives over IPC is JSON by construction; checking each of a hundred thousand rows would block the parent.
const rows = z.custom<Row[]>((value) => Array.isArray(value))

/** By name of the statement: its rows (for `as: 'rows'`) and the number of rows written. */
export const queryResult = z.record(z.string(), z.object({ rows, changed: count }))
export type QueryResult = z.infer<typeof queryResult>

export const rejectsResult = z.object({
  /** Number of rejects in the file; fewer than all of them only if `most` was reached. */
  total: count,
  structural: count,
  /** Number of records with this reason, the most frequent first. A record with several reasons counts in each. */
  counts: z.array(z.object({ column: z.string().nullable(), code: z.string(), count })),
  content,
})
export type RejectsResult = z.infer<typeof rejectsResult>

/** The progress of a task. `fraction` 0..1 never decreases. */
const taskProgress = z.object({
  phase: z.string(),
  bytesDone: count,
  bytesTotal: count,
  rows: count,
  fraction: z.number().min(0).max(1),
})
export type TaskProgress = z.infer<typeof taskProgress>

const limits = z.object({ memoryLimitMb: count, threads: count.min(1), maxTempMb: count })
export type Limits = z.infer<typeof limits>

/** Messages of the parent. `tempDir` belongs to the task; the parent removes it in any case. */
export const toChild = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('task'), id: count, tempDir: z.string(), limits, task }),
  z.object({ kind: z.literal('batch'), id: count, batch }),
  /** No more batches follow. */
  z.object({ kind: z.literal('end'), id: count }),
  z.object({ kind: z.literal('abort'), id: count }),
])
export type ToChild = z.infer<typeof toChild>

/** Messages of the child. `fatal`: it cannot continue and should be replaced. */
export const fromChild = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('ready') }),
  z.object({ kind: z.literal('progress'), id: count, progress: taskProgress }),
  /** The result of a batch. */
  z.object({ kind: z.literal('answer'), id: count, result: z.unknown() }),
  z.object({ kind: z.literal('done'), id: count, result: z.unknown().optional() }),
  z.object({
    kind: z.literal('failed'),
    id: count,
    code: z.enum(ENGINE_ERROR_CODES),
    message: z.string(),
    fatal: z.boolean(),
  }),
])
export type FromChild = z.infer<typeof fromChild>
