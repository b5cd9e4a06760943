import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { JobFailure } from '@aduana/contracts/failures'
import { type ImportWarning, importWarning } from '@aduana/contracts/import-warnings'
import type { FileLayout } from '@aduana/contracts/rejects'
import { fileColumns, headerNames, knownHeaders, mapHeader } from '@aduana/datasets/header'
import type { Dialect, DialectResult } from '@aduana/engine/dialect'
import type { ParseInput } from '@aduana/engine/engine'
import { headerText } from '@aduana/engine/header-text'
import { type Inspection, inspectDialect } from '@aduana/engine/inspect'
import type { EngineTasks } from '@aduana/engine/larger'
import { isWithin } from '@aduana/engine/measure'
import type { ParseResult } from '@aduana/engine/protocol'
import { byteEncoding, type Encoding } from '@aduana/engine/text'
import { MAX_REJECTS_OF_FAILED } from '../rejects.ts'
import { engineOf, SMALL_FILE, type StageJob } from '../stage.ts'
import type { ParseOutput } from '../stage-outputs.ts'
import {
  headerAmbiguous,
  headerMismatch,
  headerNotFound,
  linesAndTexts,
  recordsFirst,
} from './header-failures.ts'

/** The records of a file, the layout they were read with, and the engine that read them. */
export interface ReadRecords {
  layout: FileReading
  /** The layout as stored with the import. */
  file: FileLayout
  parsed: ParseResult
  engine: EngineTasks
}

/** Where to write the records and the structural rejects of a file. */
export interface ParsedFiles {
  parsed: string
  structural: string
}

/** How to read a file. */
export interface FileReading {
  header: { line: number; cells: string[] }
  reading: Reading
  output: Pick<
    ParseOutput,
    'format' | 'delimiter' | 'headerLine' | 'preamble' | 'columns' | 'ignored' | 'absent' | 'warnings'
  >
}

type Reading = Pick<
  ParseInput,
  | 'format'
  | 'encoding'
  | 'delimiter'
  | 'quote'
  | 'dataOffset'
  | 'dataLine'
  | 'expectedColumns'
  | 'lineEnd'
  | 'header'
  | 'columns'
  | 'unnamed'
>

/** How to read a file, or why it cannot be read. */
type Layout = FileReading | { failure: JobFailure }

/**
 * Reads the records of `original` into `files`. The layout is detected from the beginning of the file, the encoding
 * from all of it. If they disagree, the layout is detected again in the right encoding.
 */
export async function readRecords(
  job: StageJob,
  original: string,
  files: ParsedFiles,
): Promise<ReadRecords | { failure: JobFailure }> {
  const first = await layoutIn(job, original, declaredEncoding(job))
  if ('failure' in first.layout) return first.layout
  const { layout } = first
  const { format } = layout.reading
  const engine = engineOf(job.context, await isWithin({ path: original, format }, SMALL_FILE))
  const parsed = await runParse(job, engine, original, files, layout)
  if (parsed.encoding === encodingOf(first.inspection))
    return { layout, file: layoutOfFile(first.inspection, first.result, parsed), parsed, engine }
  const second = await layoutIn(job, original, parsed.encoding)
  if ('failure' in second.layout) return second.layout
  const file = layoutOfFile(second.inspection, second.result, parsed)
  if (readsAlike(layout, second.layout)) return { layout: second.layout, file, parsed, engine }
  const again = await runParse(job, engine, original, files, second.layout)
  return { layout: second.layout, file, parsed: { ...again, encodingDoubt: parsed.encodingDoubt }, engine }
}

function encodingOf(inspection: Inspection): Encoding | undefined {
  return inspection.kind === 'csv' ? inspection.encoding : undefined
}

function declaredEncoding({ facts }: StageJob): Encoding | undefined {
  // Like browsers, read iso-8859-1 as windows-1252, a superset of its printable characters.
  return facts.encoding === 'iso-8859-1' ? 'windows-1252' : (facts.encoding ?? undefined)
}

async function layoutIn(
  { facts: { definition, delimiter } }: StageJob,
  original: string,
  encoding: Encoding | undefined,
): Promise<{ layout: Layout; inspection: Inspection; result: DialectResult | null }> {
  const { inspection, result } = await inspectDialect(original, {
    knownNames: knownHeaders(definition),
    ...(delimiter === null ? {} : { delimiter }),
    ...(encoding === undefined ? {} : { encoding }),
  })
  return { layout: readLayout(definition, inspection, result), inspection, result }
}

/** The scanner's limit (packages/engine). */
const MAX_COLUMNS = 2000

/** Matches the file with its definition. Returns how to read it, or a failure that states exactly what is missing. */
function readLayout(
  definition: DatasetDefinition,
  inspection: Inspection,
  result: DialectResult | null,
): Layout {
  if (inspection.kind === 'empty')
    return failure(
      'empty_file',
      'The file has no content. Nothing was changed. Send a file with a header line and records.',
    )
  if (inspection.kind === 'unsupported')
    return failure(
      'unreadable_file',
      `The file is ${inspection.found}. Nothing was changed. Send delimited text (CSV, TSV), which may be compressed with gzip.`,
    )
  if (!result?.found) return { failure: headerFailure(definition, result) }
  const { dialect } = result
  const { cells, line } = dialect.header
  if (cells.length > MAX_COLUMNS)
    return failure(
      'file_too_wide',
      `The header in line ${line} has ${cells.length} columns; at most ${MAX_COLUMNS} are possible. Nothing was changed. Remove columns that are not needed, and send the file again.`,
    )
  const header = mapHeader(definition, cells)
  const mismatch = headerMismatch(definition, dialect.header, header)
  if (mismatch) return { failure: mismatch }
  return {
    header: { line, cells },
    reading: {
      format: inspection.format,
      encoding: inspection.encodingSure ? inspection.encoding : 'auto',
      delimiter: dialect.delimiter,
      quote: dialect.quote,
      dataOffset: dialect.dataOffset,
      dataLine: dialect.dataLine,
      expectedColumns: cells.length,
      ...(dialect.lineEnd === 'none' ? {} : { lineEnd: dialect.lineEnd }),
      header: { cells, names: headerNames(definition), line, width: dialect.header.width },
      columns: header.columns,
      unnamed: cells.flatMap((cell, index) => (cell.trim() === '' ? [index] : [])),
    },
    output: {
      format: inspection.format,
      delimiter: dialect.delimiter,
      headerLine: line,
      preamble: dialect.preamble.map(({ line, text }) => ({ line, text })),
      columns: header.columns.map(({ name }) => name),
      ignored: header.unknown,
      absent: fileColumns(definition)
        .map(({ name }) => name)
        .filter((name) => !header.columns.some((column) => column.name === name)),
      warnings: linesBeforeHeader(dialect),
    },
  }
}

function headerFailure(
  definition: DatasetDefinition,
  result: Exclude<DialectResult, { found: true }> | null,
): JobFailure {
  switch (result?.why) {
    case 'ambiguous':
      return headerAmbiguous(...result.rows)
    case 'records_first':
      return recordsFirst(result.header, result.lines)
    default:
      return headerNotFound(
        definition,
        result?.candidates ?? [],
        result?.quotedLine ?? null,
        result?.elsewhere ?? null,
      )
  }
}

/** Lists titles and dates before the header in the result, and warns of lines that may be records or headers. */
function linesBeforeHeader({ preamble, header }: Dialect): ImportWarning[] {
  const doubtful = preamble.filter(({ kind }) => kind !== 'title')
  if (doubtful.length === 0) return []
  const lines = doubtful.map(({ line }) => line)
  const all = doubtful.length === preamble.length
  const count = preamble.length
  const skipped = `${count === 1 ? '1 line' : `${count} lines`} before the header in line ${header.line} ${count === 1 ? 'was' : 'were'} skipped: ${linesAndTexts(preamble)}.`
  const which = all
    ? count === 1
      ? 'It'
      : 'They'
    : `Line${lines.length === 1 ? '' : 's'} ${lines.join(', ')}`
  const what = lines.length === 1 ? 'may be a record or a header' : 'may be records or headers'
  const message = `${skipped} ${which} ${what}. If so, undo the import, put the header before the records, and send the file again.`
  return [importWarning('lines_before_header', message, { count })]
}

function failure(code: JobFailure['code'], detail: string): { failure: JobFailure } {
  return { failure: { code, detail } }
}

async function runParse(
  { context, facts, folder, report, signal }: StageJob,
  engine: EngineTasks,
  original: string,
  files: ParsedFiles,
  { reading }: FileReading,
): Promise<ParseResult> {
  return engine.parse(
    {
      workDir: folder,
      input: original,
      output: files.parsed,
      rejects: files.structural,
      ...reading,
      limits: {
        maxBytes: context.maxUnpackedBytes,
        rejects: { share: facts.definition.maxRejectRatio, floor: MAX_REJECTS_OF_FAILED },
      },
    },
    {
      signal,
      onProgress: ({ fraction, rows }) =>
        report({ fraction, message: 'Reading the file', ...(rows > 0 ? { processedItems: rows } : {}) }),
    },
  )
}

/** Returns true if two layouts find the same columns in the same places. */
function readsAlike(one: FileReading, other: FileReading): boolean {
  const places = ({ reading }: FileReading) => JSON.stringify({ ...reading, encoding: null })
  return places(one) === places(other)
}

/** Returns the layout of a parsed file, with its header decoded in the encoding of the whole file. */
function layoutOfFile(
  inspection: Inspection,
  result: DialectResult | null,
  { encoding }: Pick<ParseResult, 'encoding'>,
): FileLayout {
  if (inspection.kind !== 'csv' || !result?.found) throw new Error('a file without a header was parsed')
  const { header, delimiter, dataOffset } = result.dialect
  const place = { line: header.line, next: dataOffset }
  const { text, truncated } = headerText(inspection.head, place, byteEncoding(encoding))
  const { format } = inspection
  return { header: text, headerTruncated: truncated, delimiter, encoding, format }
}
