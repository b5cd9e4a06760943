import { showInvisible } from '@aduana/contracts/characters'
import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { JobFailure } from '@aduana/contracts/failures'
import { closestName, fileColumns, type HeaderMap } from '@aduana/datasets/header'
import type { FoundRow } from '@aduana/engine/dialect'
import { HEADER_WITHIN_LINES } from '@aduana/engine/head-view'
import type { SkippedLine } from '@aduana/engine/header-choice'

type Row = Pick<FoundRow, 'line' | 'cells'>

/** Returns the failure for two rows that may both be the header. Shows both. */
export function headerAmbiguous(first: Row, second: Row): JobFailure {
  return {
    code: 'header_ambiguous',
    detail: `Line ${first.line} (${list(first.cells)}) and line ${second.line} (${list(second.cells)}) both name columns, so either may be the header. Nothing was changed. If files were joined there, split the file before line ${second.line} and send both parts. If line ${second.line} is the only header, remove the lines before it; if it is a record, give line ${first.line} the names of the columns.`,
  }
}

/** Returns the failure for lines before the header that look like the records after it. */
export function recordsFirst(header: Row, lines: readonly SkippedLine[]): JobFailure {
  const [first] = lines
  const one = lines.length === 1
  return {
    code: 'header_ambiguous',
    detail: one
      ? `Line ${first?.line} is before the header in line ${header.line} (${list(header.cells)}) and looks like a record: ${linesAndTexts(lines)}. Nothing was changed. If it is a record, add a header before it. If not, remove the line. Then send the file again.`
      : `${lines.length} lines are before the header in line ${header.line} (${list(header.cells)}) and look like records: ${linesAndTexts(lines)}. Nothing was changed. If they are records, add a header before them. If not, remove the lines. Then send the file again.`,
  }
}

/**
 * Returns the failure for a line in the middle of the file that names columns in another order: the records after it
 * may use other columns.
 */
export function otherHeader(header: Row, other: Row): JobFailure {
  return {
    code: 'header_ambiguous',
    detail: `The header in line ${header.line} is ${list(header.cells)}, but line ${other.line} names other columns, or the same columns in another order: ${list(other.cells)}. The records after it may belong to other columns. Nothing was changed. If files were joined there, split the file before line ${other.line} and send both parts.`,
  }
}

/** Returns the failure for a file in which no row names a column. States the likely cause first. */
export function headerNotFound(
  definition: DatasetDefinition,
  candidates: readonly FoundRow[],
  quotedLine: FoundRow | null,
  elsewhere: FoundRow | null,
): JobFailure {
  const expected = `Expected: ${names(definition)}.`
  if (quotedLine)
    return {
      code: 'header_not_found',
      detail: `Whole lines are in quotes: line ${quotedLine.line} is one quoted cell that holds ${list(quotedLine.cells)}. Nothing was changed. Remove the quotes around the lines, or export the file again with quotes around cells only. ${expected}`,
    }
  const [row] = [...candidates].sort((a, b) => b.cells.length - a.cells.length)
  const found = row
    ? `Found in line ${row.line}: ${list(row.cells)}.${alike(definition, row.cells)}`
    : 'No text was found.'
  return {
    code: 'header_not_found',
    detail: `None of the first ${HEADER_WITHIN_LINES} lines names a column of ${definition.code}. ${found} ${expected} Nothing was changed. ${remedy(candidates, elsewhere)}`,
  }
}

function remedy(candidates: readonly FoundRow[], elsewhere: FoundRow | null): string {
  if (!elsewhere) return 'Name the columns in the first line and send the file again.'
  const { line, cells, delimiter } = elsewhere
  const isDeclared = candidates.some((candidate) => candidate.delimiter === delimiter)
  const what = isDeclared
    ? `Line ${line} names ${list(cells)}.`
    : `With ${delimiterName(delimiter)} between cells, line ${line} would name ${list(cells)}.`
  return line > HEADER_WITHIN_LINES
    ? `${what} Remove the lines before the header and send the file again.`
    : `${what} Declare this delimiter, or omit the delimiter, and send the file again.`
}

/** Returns why a header cannot be used, or undefined if it can. */
export function headerMismatch(
  definition: DatasetDefinition,
  { line, cells }: Row,
  header: HeaderMap,
): JobFailure | undefined {
  if (header.missing.length > 0) {
    const unknown = header.unknown.filter((cell) => cell.trim() !== '')
    const notKnown =
      unknown.length > 0 ? ` Unknown header cells: ${list(unknown)}.${alike(definition, unknown)}` : ''
    return {
      code: 'missing_columns',
      detail: `The header in line ${line} lacks ${list(header.missing)}.${notKnown} Nothing was changed. Add the columns, or rename the existing ones to names that ${definition.code} accepts: ${accepted(definition, header.missing)}. The header is ${list(cells)}.`,
    }
  }
  const [twice] = header.twice
  if (twice)
    return {
      code: 'duplicate_columns',
      detail: `${COUNTS[twice.headers.length] ?? twice.headers.length} header cells in line ${line} name the column "${twice.column}": ${and(twice.headers)}. Nothing was changed. Keep only one of them. The header is ${list(cells)}.`,
    }
  if (definition.unknownColumns === 'fail' && header.unknown.length > 0)
    return {
      code: 'missing_columns',
      detail: `The header in line ${line} has columns that ${definition.code} does not know: ${list(header.unknown)}.${alike(definition, header.unknown)} Nothing was changed. Remove or rename them. Known columns: ${names(definition)}.`,
    }
  return undefined
}

/** Returns ` "Turn" is close to "turno".`, or the empty text. */
function alike(definition: DatasetDefinition, cells: readonly string[]): string {
  const pairs = cells.slice(0, 40).flatMap((cell) => {
    const name = closestName(definition, cell)
    return name === null ? [] : [`"${showInvisible(cell.slice(0, 60))}" is close to "${name}"`]
  })
  return pairs.length > 0 ? ` ${pairs.join(', ')}.` : ''
}

/** Lists the accepted names of each missing column. */
function accepted(definition: DatasetDefinition, missing: readonly string[]): string {
  return fileColumns(definition)
    .filter(({ name }) => missing.includes(name))
    .slice(0, 40)
    .map(({ name, aliases }) => [name, ...aliases].map((known) => `"${known}"`).join(' or '))
    .join(', ')
}

const COUNTS: readonly string[] = ['', '', 'Two', 'Three', 'Four', 'Five']

function and(cells: readonly string[]): string {
  return cells.length > 5 ? list(cells) : `${list(cells.slice(0, -1))} and ${list(cells.slice(-1))}`
}

function names(definition: DatasetDefinition): string {
  return list(fileColumns(definition).map(({ name, required }) => (required ? name : `${name} (optional)`)))
}

function list(cells: readonly string[]): string {
  const shown = cells.slice(0, 40).map((cell) => `"${showInvisible(cell.slice(0, 60))}"`)
  return `${shown.join(', ')}${cells.length > shown.length ? ` and ${cells.length - shown.length} more` : ''}`
}

const SHOWN_LINES = 5
const SHOWN_CHARACTERS = 100

/** Formats the first few lines of a file with their numbers: `"P1;Uno" (line 1) and 3 more`. */
export function linesAndTexts(lines: readonly { line: number; text: string }[]): string {
  const shown = lines
    .slice(0, SHOWN_LINES)
    .map(({ line, text }) => `"${showInvisible(text.slice(0, SHOWN_CHARACTERS))}" (line ${line})`)
  const left = lines.length - shown.length
  return `${shown.join(', ')}${left > 0 ? ` and ${left} more` : ''}`
}

/** Returns the name of a delimiter, for use in a sentence. */
function delimiterName(delimiter: string): string {
  if (delimiter === '\t') return 'a tab'
  return delimiter === ' ' ? 'a space' : `"${delimiter}"`
}
