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

/** Turn an original into a Parquet file of text columns plus the structural rejects. */
export const parseTask = z.object({
  type: z.literal('parse'),
  /** The job's folder: DuckDB sees nothing else. `output` and `rejects` lie in it. */
  workDir: z.string(),
  input: z.string(),
  output: z.string(),
  rejects: z.string(),
  format,
  /** `auto` unless it was declared or is sure. */
  encoding: z.union([encoding, z.literal('auto')]),
  delimiter: z.string(),
  quote: z.string().nullable(),
  /** First byte after the header row, in unpacked bytes, and its physical line. */
  dataOffset: count,
  dataLine: count,
  /** Columns of the header row, mapped or not. */
  expectedColumns: count,
  /** How the header's line ends, and what its cells mean: by these, broken records and repeated headers are recognised. */
  lineEnd: z.enum(['lf', 'crlf', 'cr']).optional(),
  header: z
    .object({
      cells: z.array(z.string()),
      names: z.record(z.string(), z.string()),
      line: count,
      width: count,
    })
    .optional(),
  /** The columns to keep: index in the header row from 0, and the name in the Parquet file, in its order. */
  columns: z.array(z.object({ index: count, name: z.string().min(1) })).min(1),
  /** Columns whose header cell is blank, by index: it is told whether they hold values. */
  unnamed: z.array(count).optional(),
  limits: z
    .object({
      maxRecordBytes: count.optional(),
      maxRawBytes: count.optional(),
      maxBytes: count.optional(),
      /** Stop once more than this share of the records must be structural rejects, after `floor` of them. */
      rejects: z.object({ share: z.number().min(0).max(1), floor: count }).optional(),
    })
    .default({}),
})

/** Run SQL over the files of a folder, in one database that lasts until the parent ends the task. */
export const queryTask = z.object({ type: z.literal('query'), workDir: z.string() })

export const statement = z.object({
  name: z.string(),
  sql: z.string(),
  params: z.array(sqlParameter).optional(),
  as: z.enum(['rows', 'none']),
})
export type Statement = z.input<typeof statement>

/** Statements of a query task that run in order. */
export const batch = z.object({
  statements: z.array(statement).readonly(),
  /** More rows than this from one statement are an error. */
  maxRows: count.default(100_000),
  /** The share of the whole task that is done after this batch. */
  until: z.number().min(0).max(1).default(1),
})
export type Batch = z.infer<typeof batch>

/** Write the complete rejects of a parsed file, with their original text. */
export const rejectsTask = z.object({
  type: z.literal('rejects'),
  workDir: z.string(),
  original: z.string(),
  format,
  /** What parsing reported. */
  encoding,
  /** Yields `_rec, _line, _off, _len, reasons`, any order; reasons: JSON text or a list of structs. Null: no row failed. */
  sql: z.string().nullable(),
  params: z.array(sqlParameter).optional(),
  /** The structural rejects of the same parsing. */
  structural: z.string().nullable(),
  output: z.string(),
  maxRawBytes: count.optional(),
  /** Write at most this many rejects, and this many bytes of them before compression. */
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
  /** Blank lines and records without any value after the header. */
  skipped: count,
  /** The first line that names columns, but not those of the header in its order. */
  otherHeader: z.object({ line: count, cells: z.array(z.string()) }).nullable(),
  /** Good records with more cells than the header, all of them blank, where commas delimit. */
  extraCells: z
    .object({
      records: count,
      halves: z.array(z.object({ index: count, records: count })),
      ...{ line: count, width: count, text: z.string() },
    })
    .nullable() satisfies z.ZodType<ExtraCells | null>,
  /** Columns without a name that hold values, but for numbers of the records. */
  unnamedColumns: z.array(
    z.object({ index: count, records: count, line: count, text: z.string() }),
  ) satisfies z.ZodType<UnnamedColumn[]>,
  /** Bytes after unpacking. */
  bytes: count,
  /** Some field held a line break (already restored in the Parquet file). */
  embedded: z.boolean(),
  encoding,
  /** Why the encoding may be another; null when it is sure. */
  encodingDoubt,
  /** The file has failed by the limit of rejects and was not read further: there is no Parquet file. */
  stopped: z.boolean(),
  rejectsContent: content,
  rejectCounts: z.partialRecord(z.enum(STRUCTURAL_CODES), count),
  transcodeMs: count,
  parquetMs: count,
})
export type ParseResult = z.infer<typeof parseResult>

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
/** One row of a result: bigints are numbers when they are safe, else strings; dates are ISO strings; decimals strings. */
export type Row = Record<string, Json>

// What came over IPC is JSON by construction; checking each of a hundred thousand rows would block the parent.
const rows = z.custom<Row[]>((value) => Array.isArray(value))

/** By name of the statement: its rows (for `as: 'rows'`) and how many rows it wrote. */
export const queryResult = z.record(z.string(), z.object({ rows, changed: count }))
export type QueryResult = z.infer<typeof queryResult>

export const rejectsResult = z.object({
  /** Rejects in the file; fewer than all of them only when `most` was reached. */
  total: count,
  structural: count,
  /** How many records have this reason, the most frequent first; a record with several counts in each. */
  counts: z.array(z.object({ column: z.string().nullable(), code: z.string(), count })),
  content,
})
export type RejectsResult = z.infer<typeof rejectsResult>

/** How far a task is. `fraction` 0..1 never goes back. */
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

/** What the parent sends. `tempDir` is the task's own; the parent removes it whatever happens. */
export const toChild = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('task'), id: count, tempDir: z.string(), limits, task }),
  z.object({ kind: z.literal('batch'), id: count, batch }),
  /** No more batches follow. */
  z.object({ kind: z.literal('end'), id: count }),
  z.object({ kind: z.literal('abort'), id: count }),
])
export type ToChild = z.infer<typeof toChild>

/** What the child sends. `fatal`: it cannot go on and should be replaced. */
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
