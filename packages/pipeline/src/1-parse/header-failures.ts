import { showInvisible } from '@aduana/contracts/characters'
import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { JobFailure } from '@aduana/contracts/failures'
import { closestName, fileColumns, type HeaderMap } from '@aduana/datasets/header'
import type { FoundRow } from '@aduana/engine/dialect'

type Row = Pick<FoundRow, 'line' | 'cells'>

/** Two rows may be the header: both are shown. */
export function headerAmbiguous(first: Row, second: Row): JobFailure {
  return {
    code: 'header_ambiguous',
    detail: `Line ${first.line} (${list(first.cells)}) and line ${second.line} (${list(second.cells)}) both name columns, so either may be the header. Nothing was changed. If line ${second.line} is the header, remove the lines before it; if it is a record, give line ${first.line} the names of the columns, and send the file again.`,
  }
}

/** A line in the middle of the file names columns in another order: what follows may mean other columns. */
export function otherHeader(header: Row, other: Row): JobFailure {
  return {
    code: 'header_ambiguous',
    detail: `The header in line ${header.line} is ${list(header.cells)}, but line ${other.line} names columns too, and not those in that order: ${list(other.cells)}. The records after it may belong to other columns. Nothing was changed. If files were joined there, split the file before line ${other.line} and send both parts.`,
  }
}

/** No row names a column. Says the likely cause first. */
export function headerNotFound(
  definition: DatasetDefinition,
  candidates: readonly FoundRow[],
  quotedLine: FoundRow | null,
): JobFailure {
  const expected = `Expected: ${names(definition)}.`
  if (quotedLine)
    return {
      code: 'header_not_found',
      detail: `Whole lines stand in quotes: line ${quotedLine.line} is one quoted cell that holds ${list(quotedLine.cells)}. Nothing was changed. Remove the quotes around the lines, or export the file again with quotes around cells only. ${expected}`,
    }
  const [row] = [...candidates].sort((a, b) => b.cells.length - a.cells.length)
  const found = row
    ? `Found in line ${row.line}: ${list(row.cells)}.${alike(definition, row.cells)}`
    : 'Found no text.'
  return {
    code: 'header_not_found',
    detail: `No line among the first 20 names a column of ${definition.code}. ${found} ${expected} Nothing was changed. Name the columns in the first line and send the file again.`,
  }
}

/** What keeps a header from being used, or undefined. */
export function headerMismatch(
  definition: DatasetDefinition,
  { line, cells }: Row,
  header: HeaderMap,
): JobFailure | undefined {
  if (header.missing.length > 0) {
    const unknown = header.unknown.filter((cell) => cell.trim() !== '')
    const notKnown = unknown.length > 0 ? ` Not known: ${list(unknown)}.${alike(definition, unknown)}` : ''
    return {
      code: 'missing_columns',
      detail: `The header in line ${line} lacks ${list(header.missing)}.${notKnown} Nothing was changed. Add the columns, or give the existing ones names that ${definition.code} knows: ${accepted(definition, header.missing)}. The header is ${list(cells)}.`,
    }
  }
  const [twice] = header.twice
  if (twice)
    return {
      code: 'duplicate_columns',
      detail: `${list(twice.headers)} in the header in line ${line} both mean ${twice.column}. Nothing was changed. Leave one of them out. The header is ${list(cells)}.`,
    }
  if (definition.unknownColumns === 'fail' && header.unknown.length > 0)
    return {
      code: 'missing_columns',
      detail: `The header in line ${line} has columns that ${definition.code} does not know: ${list(header.unknown)}.${alike(definition, header.unknown)} Nothing was changed. Remove or rename them. Known: ${names(definition)}.`,
    }
  return undefined
}

/** ` "Turn" is close to "turno".`, or nothing. */
function alike(definition: DatasetDefinition, cells: readonly string[]): string {
  const pairs = cells.slice(0, 40).flatMap((cell) => {
    const name = closestName(definition, cell)
    return name === null ? [] : [`"${showInvisible(cell.slice(0, 60))}" is close to "${name}"`]
  })
  return pairs.length > 0 ? ` ${pairs.join(', ')}.` : ''
}

/** The names under which the columns are known. */
function accepted(definition: DatasetDefinition, missing: readonly string[]): string {
  return fileColumns(definition)
    .filter(({ name }) => missing.includes(name))
    .slice(0, 40)
    .map(({ name, aliases }) => [name, ...aliases].map((known) => `"${known}"`).join(' or '))
    .join(', ')
}

function names(definition: DatasetDefinition): string {
  return list(fileColumns(definition).map(({ name, required }) => (required ? name : `${name} (optional)`)))
}

function list(cells: readonly string[]): string {
  const shown = cells.slice(0, 40).map((cell) => `"${showInvisible(cell.slice(0, 60))}"`)
  return `${shown.join(', ')}${cells.length > shown.length ? ` and ${cells.length - shown.length} more` : ''}`
}
