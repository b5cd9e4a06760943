import type { Column, DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { editSteps } from '@aduana/contracts/nearest-names'
import { normaliseName } from '@aduana/engine/header-name'

/** Columns that a file may bring: all but those that others write. */
export function fileColumns(definition: DatasetDefinition): Column[] {
  return definition.columns.filter((column) => !column.managed)
}

/** Every normalised header text by which a file may name a column of the definition. */
export function knownHeaders(definition: DatasetDefinition): string[] {
  return [...headerIndex(definition).keys()]
}

/** The column that each normalised header text names. */
export function headerNames(definition: DatasetDefinition): Record<string, string> {
  return Object.fromEntries(headerIndex(definition))
}

/** Which column of a file brings which column of a definition. */
export interface HeaderMap {
  /** Position in the file (from 0) and name in the definition, in the order of the file. */
  columns: { index: number; name: string }[]
  /** Header cells, as they stand, that name no column. */
  unknown: string[]
  /** Required columns that no header cell brings. */
  missing: string[]
  /** Columns that several header cells bring. */
  twice: { column: string; headers: string[] }[]
}

/**
 * Matches the cells of a header line with the columns of a definition. An optional column that is absent is fine;
 * the caller decides what `unknown`, `missing` and `twice` mean (`definition.unknownColumns`).
 */
export function mapHeader(definition: DatasetDefinition, cells: readonly string[]): HeaderMap {
  const index = headerIndex(definition)
  const found = cells.map((cell, position) => ({ position, cell, name: index.get(normaliseName(cell)) }))
  const headersOf = (name: string) => found.filter((entry) => entry.name === name).map((entry) => entry.cell)
  const columns = found.flatMap(({ position, name }, order) =>
    name !== undefined && found.findIndex((entry) => entry.name === name) === order
      ? [{ index: position, name }]
      : [],
  )
  return {
    columns,
    unknown: found.filter((entry) => entry.name === undefined).map((entry) => entry.cell),
    missing: fileColumns(definition)
      .filter((column) => column.required && headersOf(column.name).length === 0)
      .map((column) => column.name),
    twice: columns
      .map(({ name }) => ({ column: name, headers: headersOf(name) }))
      .filter((entry) => entry.headers.length > 1),
  }
}

/** Normalised header text → column name. A column's own name wins over another column's alias. */
function headerIndex(definition: DatasetDefinition): Map<string, string> {
  const columns = fileColumns(definition)
  const aliases = columns.flatMap((column) =>
    column.aliases.map((alias): [string, string] => [normaliseName(alias), column.name]),
  )
  const names = columns.map((column): [string, string] => [normaliseName(column.name), column.name])
  return new Map([...aliases, ...names].filter(([header]) => header !== ''))
}

/** A header cell that names no column but is probably meant for one, and the name that it is close to. */
export interface MisspeltHeader {
  cell: string
  column: string
  known: string
}

/**
 * Returns the ignored header cells that are probably meant for a column that the file lacks: those that differ from its name
 * in few letters but not in digits, and those of several lines of which one, or all together, name it.
 */
export function misspeltHeaders(
  definition: DatasetDefinition,
  { ignored, absent }: { ignored: readonly string[]; absent: readonly string[] },
): MisspeltHeader[] {
  const lacking = [...headerIndex(definition)].filter(([, column]) => absent.includes(column))
  return ignored.flatMap((cell) => {
    const texts = [cell, ...(/[\r\n]/.test(cell) ? cell.split(/[\r\n]+/) : [])].map(normaliseName)
    const near = lacking
      .flatMap(([known, column]) => texts.map((text) => ({ known, column, steps: stepsOfSlip(text, known) })))
      .filter(({ steps }) => steps < Infinity)
      .sort((a, b) => a.steps - b.steps)
    return near.slice(0, 1).map(({ column, known }) => ({ cell, column, known }))
  })
}

/** How many letters a slip of the pen has changed; `Infinity` when the names differ by more than that. */
function stepsOfSlip(text: string, known: string): number {
  const most = Math.floor(Math.min(text.length, known.length) / 3)
  if (most === 0 || Math.abs(text.length - known.length) > most) return Infinity
  // Two columns often differ in a number only, and two short words in one letter.
  if (text.replace(/\D/g, '') !== known.replace(/\D/g, '')) return Infinity
  if (Math.min(text.length, known.length) < 4 && text[0] !== known[0]) return Infinity
  if (text.length === known.length && text.length < 6 && lettersOf(text) !== lettersOf(known)) return Infinity
  const steps = editSteps(text, known)
  return steps <= most ? steps : Infinity
}

function lettersOf(text: string): string {
  return [...text].sort().join('')
}

/**
 * Returns the known header text that a text is probably meant to be, or null: one that differs in few letters, or one that
 * is the other with a word more or less.
 */
export function closestName(definition: DatasetDefinition, text: string): string | null {
  const name = normaliseName(text)
  if (name === '') return null
  const headers = knownHeaders(definition)
  const near = headers
    .map((known) => ({ known, most: Math.floor(Math.min(name.length, known.length) / 3) }))
    .filter(({ known, most }) => Math.abs(name.length - known.length) <= most)
    .map(({ known, most }) => ({ known, most, steps: editSteps(name, known) }))
    .filter(({ steps, most }) => steps <= most)
    .sort((a, b) => a.steps - b.steps)
  const words = new Set(name.split('_'))
  const shared = (known: string) => known.split('_').filter((word) => words.has(word)).length
  const related = headers
    .filter((known) => shared(known) === Math.min(words.size, known.split('_').length))
    .sort((a, b) => shared(b) - shared(a) || a.length - b.length)
  return near[0]?.known ?? related[0] ?? null
}
