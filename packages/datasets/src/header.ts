import type { Column, DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { editSteps } from '@aduana/contracts/nearest-names'
import { normaliseName } from '@aduana/engine/header-name'

/** Returns the columns that a file may contain: all except managed columns. */
export function fileColumns(definition: DatasetDefinition): Column[] {
  return definition.columns.filter((column) => !column.managed)
}

/** Returns every normalised header text that names a column of the definition. */
export function knownHeaders(definition: DatasetDefinition): string[] {
  return [...headerIndex(definition).keys()]
}

/** Returns the column name for each normalised header text. */
export function headerNames(definition: DatasetDefinition): Record<string, string> {
  return Object.fromEntries(headerIndex(definition))
}

/** How the columns of a file correspond to the columns of a definition. */
export interface HeaderMap {
  /** Position in the file (from 0) and name in the definition, in the order of the file. */
  columns: { index: number; name: string }[]
  /** Header cells, as written, that name no column. */
  unknown: string[]
  /** Required columns that no header cell names. */
  missing: string[]
  /** Columns that several header cells name. */
  twice: { column: string; headers: string[] }[]
}

/**
 * Returns which column of the definition each cell of a header line names. Optional columns may be absent. The caller
 * decides whether `unknown`, `missing` and `twice` are errors (`definition.unknownColumns`).
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

/** Returns a map from normalised header text to column name. A column's own name takes precedence over an alias. */
function headerIndex(definition: DatasetDefinition): Map<string, string> {
  const columns = fileColumns(definition)
  const aliases = columns.flatMap((column) =>
    column.aliases.map((alias): [string, string] => [normaliseName(alias), column.name]),
  )
  const names = columns.map((column): [string, string] => [normaliseName(column.name), column.name])
  return new Map([...aliases, ...names].filter(([header]) => header !== ''))
}

/** A header cell that names no column but resembles the name of one, and that name. */
export interface MisspeltHeader {
  cell: string
  column: string
  known: string
}

/**
 * Returns the ignored header cells that probably mean a column that the file lacks: cells that differ from its name in few
 * letters but not in digits, and cells of several lines of which one line, or all lines joined, name it.
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

/** Returns the number of letters in which two names differ; `Infinity` if they differ by more than a misspelling. */
function stepsOfSlip(text: string, known: string): number {
  const most = Math.floor(Math.min(text.length, known.length) / 3)
  if (most === 0 || Math.abs(text.length - known.length) > most) return Infinity
  // Names that differ only in a number, or short words that differ in one letter, are often different columns.
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
 * Returns the known header text that a text probably means, or null: one that differs in few letters, or in one added or
 * omitted word.
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
