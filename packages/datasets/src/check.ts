import type { Column, DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { normaliseName } from '@aduana/engine/dialect'
import { fileColumns } from './header.ts'
import { digitsOf, lit } from './literals.ts'
import { crossCheck } from './rules/conditions.ts'
import { cellsOf } from './rules/record.ts'
import { targetColumns } from './target.ts'

/** What is wrong, in a sentence, and with which part of a definition: `columns[2]`. */
export interface PlacedProblem {
  path: string
  message: string
}

/**
 * What a well-formed definition gets wrong, in sentences; empty when nothing. Patterns are not tried here: run
 * `patternProbes` in DuckDB for that.
 */
export function checkDefinition(definition: DatasetDefinition): string[] {
  return definitionProblems(definition).map(({ message }) => message)
}

/** What `checkDefinition` tells, with the part of the definition that each is about. */
export function definitionProblems(definition: DatasetDefinition): PlacedProblem[] {
  return [
    ...definition.columns.flatMap((column, index) =>
      columnProblems(column).map((problem) => ({
        path: `columns[${index}]`,
        message: `column "${column.name}" ${problem}`,
      })),
    ),
    ...at('columns', headerProblems(definition)),
    ...roleProblems(definition),
    ...at('columns', targetProblems(definition)),
    ...ruleProblems(definition),
  ]
}

/** Problems of one part. */
export function at(path: string, messages: readonly string[]): PlacedProblem[] {
  return messages.map((message) => ({ path, message }))
}

/** The path of a column by its name. */
export function columnPath(definition: DatasetDefinition, name: string | undefined): string {
  const index = definition.columns.findIndex((column) => column.name === name)
  return index < 0 ? 'columns' : `columns[${index}]`
}

/** Statements that fail when DuckDB refuses a pattern of the definition, with the column of each. */
export function patternProbes(definition: DatasetDefinition): { column: string; sql: string }[] {
  return definition.columns.flatMap((column) =>
    column.type === 'text' && column.pattern !== undefined
      ? [{ column: column.name, sql: `select regexp_full_match('', ${lit(column.pattern)})` }]
      : [],
  )
}

function columnProblems(column: Column): string[] {
  switch (column.type) {
    case 'text':
      return [
        ...tell((column.minLength ?? 0) > column.maxLength, 'has a minLength above its maxLength'),
        ...tell(
          (column.enum ?? []).some((word) => word !== word.trim() || word === ''),
          'allows a value that is empty or has outer white space, which no cell can equal',
        ),
      ]
    case 'integer':
      return [
        ...tell((column.min ?? -Infinity) > (column.max ?? Infinity), 'has a min above its max'),
        ...tell(
          [column.min, column.max].some((bound) => bound !== undefined && !fitsBits(bound, column.bits)),
          `has a bound that does not fit into ${column.bits} bits`,
        ),
      ]
    case 'decimal':
      return [
        ...tell(
          column.scale > column.precision,
          'has more digits after the mark (scale) than in all (precision)',
        ),
        ...tell((column.min ?? -Infinity) > (column.max ?? Infinity), 'has a min above its max'),
        ...tell(
          [column.min, column.max].some((bound) => bound !== undefined && !fitsDecimal(bound, column)),
          `has a bound that decimal(${column.precision},${column.scale}) cannot hold`,
        ),
      ]
    case 'date':
    case 'timestamp':
      return [
        ...tell(column.min > column.max, 'has a min after its max'),
        ...tell(
          column.type === 'timestamp' && !isTimeZone(column.timeZone),
          'has a time zone that does not exist',
        ),
      ]
    case 'boolean':
      return tell(
        column.trueWords.some((word) => column.falseWords.map(fold).includes(fold(word))),
        'has a word that means both yes and no',
      )
  }
}

function headerProblems(definition: DatasetDefinition): string[] {
  const owners = new Map<string, Set<string>>()
  for (const column of fileColumns(definition))
    for (const header of [column.name, ...column.aliases]) {
      const text = normaliseName(header)
      owners.set(text, (owners.get(text) ?? new Set()).add(column.name))
    }
  return [...owners].flatMap(([header, columns]) =>
    columns.size > 1 ? [`the header "${header}" stands for several columns: ${[...columns].join(', ')}`] : [],
  )
}

/** Columns that play a part in the load must be there and have a value. */
function roleProblems(definition: DatasetDefinition): PlacedProblem[] {
  const find = (name: string | undefined) => definition.columns.find((column) => column.name === name)
  const needed: [string, string][] = [
    ...(definition.key ?? []).map((name): [string, string] => [name, 'key']),
    ...(definition.unique?.columns ?? []).map((name): [string, string] => [name, 'unique']),
    ...definition.sortBy.map((name): [string, string] => [name, 'sortBy']),
    ...[definition.windowColumn, definition.versionColumn, definition.replaceScope, definition.scope?.company]
      .filter((name) => name !== undefined)
      .map((name): [string, string] => [name, 'window, version or scope']),
  ]
  const managed = needed.filter(([name]) => find(name)?.managed)
  const optional = [...(definition.key ?? []), definition.replaceScope].filter(
    (name) => find(name) && !find(name)?.required,
  )
  const scope = find(definition.replaceScope)
  return [
    ...managed.map(([name, role]) => ({
      path: columnPath(definition, name),
      message: `column "${name}" is written by others and cannot be part of ${role}`,
    })),
    ...optional.map((name) => ({
      path: columnPath(definition, name),
      message: `column "${name}" identifies rows and must be required`,
    })),
    ...at(
      'replaceScope',
      tell(
        scope !== undefined && (scope.type !== 'text' || scope.dimension !== undefined),
        'the replace scope must be a text column without dimension',
      ),
    ),
    ...at('columns', tell(fileColumns(definition).length === 0, 'no column is brought by files')),
  ]
}

function targetProblems(definition: DatasetDefinition): string[] {
  const names = targetColumns(definition).map(({ name }) => name)
  const twice = names.filter((name, index) => names.indexOf(name) < index)
  return twice.map((name) => `the load fills the column "${name}" of the table twice`)
}

/** Rules compare like with like; compiling them is the proof. */
function ruleProblems(definition: DatasetDefinition): PlacedProblem[] {
  const cells = new Map(cellsOf(definition).map((cell) => [cell.column.name, cell]))
  return definition.rules.flatMap((rule, index) => {
    try {
      crossCheck(rule, cells)
      return []
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      return at(`rules[${index}]`, [`rule "${rule.code}": ${why}`])
    }
  })
}

function fitsBits(value: number, bits: 16 | 32 | 64): boolean {
  return value >= -(2 ** (bits - 1)) && value <= 2 ** (bits - 1) - 1
}

function fitsDecimal(value: number, column: { precision: number; scale: number }): boolean {
  const { whole, fraction } = digitsOf(value)
  return whole <= column.precision - column.scale && fraction <= column.scale
}

/** By its name: an offset means one thing here and its opposite in PostgreSQL. */
function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}

function fold(word: string): string {
  return word.trim().toLowerCase()
}

function tell(wrong: boolean, problem: string): string[] {
  return wrong ? [problem] : []
}
