import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { JobFailure } from '@aduana/contracts/failures'
import { type ImportWarning, importWarning } from '@aduana/contracts/import-warnings'
import type { FileLayout } from '@aduana/contracts/rejects'
import { fileColumns, mapHeader } from '@aduana/datasets/header'
import type { Dialect, DialectResult, FoundRow } from '@aduana/engine/dialect'
import type { ParseInput } from '@aduana/engine/engine'
import { headerText } from '@aduana/engine/header-text'
import type { Inspection } from '@aduana/engine/inspect'
import type { ParseResult } from '@aduana/engine/protocol'
import { byteEncoding } from '@aduana/engine/text'
import type { ParseOutput } from '../stage-outputs.ts'

type Reading = Pick<
  ParseInput,
  'format' | 'encoding' | 'delimiter' | 'quote' | 'dataOffset' | 'dataLine' | 'expectedColumns' | 'columns'
>

/** The scanner's limit (packages/engine). */
const MAX_COLUMNS = 2000

/** How a file is to be read, or why it cannot be. */
export type Layout =
  | {
      reading: Reading
      output: Pick<
        ParseOutput,
        'format' | 'delimiter' | 'headerLine' | 'columns' | 'ignored' | 'absent' | 'warnings'
      >
    }
  | { failure: JobFailure }

/** Bring together what the file looks like and what the definition expects. Says precisely what is missing. */
export function readLayout(
  definition: DatasetDefinition,
  inspection: Inspection,
  result: DialectResult | null,
): Layout {
  if (inspection.kind === 'empty')
    return failure('unreadable_file', 'The file is empty. Expected a header line and records.')
  if (inspection.kind === 'unsupported')
    return failure(
      'unreadable_file',
      `The file is ${inspection.found}. Expected CSV text, or CSV text packed by gzip.`,
    )
  if (!result?.found)
    return failure(
      'header_not_found',
      `No line among the first 20 names a column of ${definition.code}. ${found(result?.candidates ?? [])} Expected: ${names(definition)}.`,
    )
  const { dialect } = result
  const { cells } = dialect.header
  if (cells.length > MAX_COLUMNS)
    return failure(
      'file_too_wide',
      `The header in line ${dialect.header.line} has ${cells.length} columns; at most ${MAX_COLUMNS} can be handled. Nothing was changed.`,
    )
  const header = mapHeader(definition, dialect.header.cells)
  const mismatch = headerMismatch(definition, dialect, header)
  if (mismatch) return mismatch
  return {
    reading: {
      format: inspection.format,
      encoding: inspection.encodingSure ? inspection.encoding : 'auto',
      delimiter: dialect.delimiter,
      quote: dialect.quote,
      dataOffset: dialect.dataOffset,
      dataLine: dialect.dataLine,
      expectedColumns: dialect.header.cells.length,
      columns: header.columns,
    },
    output: {
      format: inspection.format,
      delimiter: dialect.delimiter,
      headerLine: dialect.header.line,
      columns: header.columns.map(({ name }) => name),
      ignored: header.unknown,
      absent: fileColumns(definition)
        .map(({ name }) => name)
        .filter((name) => !header.columns.some((column) => column.name === name)),
      warnings: linesBeforeHeader(dialect),
    },
  }
}

/** How a file that was parsed is laid out, with its header in the encoding that its bytes turned out to have. */
export function layoutOfFile(
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

function headerMismatch(
  definition: DatasetDefinition,
  dialect: Dialect,
  header: ReturnType<typeof mapHeader>,
): { failure: JobFailure } | undefined {
  const place = `The header in line ${dialect.header.line} has the columns ${list(dialect.header.cells)}.`
  if (header.missing.length > 0)
    return failure(
      'missing_columns',
      `${place} Missing: ${list(header.missing)}. Nothing was changed. Add the columns, or give the existing ones names that ${definition.code} knows.`,
    )
  const [twice] = header.twice
  if (twice)
    return failure(
      'duplicate_columns',
      `${place} ${list(twice.headers)} both mean ${twice.column}. Nothing was changed. Leave one of them out.`,
    )
  if (definition.unknownColumns === 'fail' && header.unknown.length > 0)
    return failure('missing_columns', `${place} Not known to ${definition.code}: ${list(header.unknown)}.`)
  return undefined
}

function linesBeforeHeader({ preamble, header }: Dialect): ImportWarning[] {
  if (preamble === 0) return []
  const lines = preamble === 1 ? 'Line 1 is' : `Lines 1 to ${preamble} are`
  const message = `${lines} before the header in line ${header.line}, and ${preamble === 1 ? 'was' : 'were'} skipped. If records are among them, name the columns in the first line.`
  return [importWarning('lines_before_header', message, { count: preamble })]
}

function failure(code: JobFailure['code'], detail: string): { failure: JobFailure } {
  return { failure: { code, detail } }
}

function found(rows: readonly FoundRow[]): string {
  const [row] = [...rows].sort((a, b) => b.cells.length - a.cells.length)
  return row ? `Found in line ${row.line}: ${list(row.cells)}.` : 'Found no text.'
}

function names(definition: DatasetDefinition): string {
  return list(fileColumns(definition).map(({ name, required }) => (required ? name : `${name} (optional)`)))
}

function list(cells: readonly string[]): string {
  const shown = cells.slice(0, 40).map((cell) => `"${cell.slice(0, 60)}"`)
  return `${shown.join(', ')}${cells.length > shown.length ? ` and ${cells.length - shown.length} more` : ''}`
}
