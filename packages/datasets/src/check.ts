import { cleanCode } from '@aduana/contracts/characters'
import {
  type Column,
  type DatasetDefinition,
  type DateColumn,
  type DecimalMark,
  maxLengthOf,
  type ThousandsMark,
  type TimestampColumn,
} from '@aduana/contracts/dataset-definition'
import { normaliseName } from '@aduana/engine/header-name'
import { fileColumns } from './header.ts'
import { digitsOf, lit } from './literals.ts'
import { at, type PlacedProblem } from './placed-problems.ts'
import { roleProblems, targetProblems } from './roles.ts'
import { crossCheck } from './rules/conditions.ts'
import { dayMonthOrder, hasShortYear } from './rules/formats.ts'
import { cellsOf } from './rules/record.ts'

/**
 * Returns the errors of a well-formed definition as sentences; empty if there are none. Patterns are not checked here:
 * run the statements of `patternProbes` in DuckDB.
 */
export function checkDefinition(definition: DatasetDefinition): string[] {
  return definitionProblems(definition).map(({ message }) => message)
}

/** Returns the errors of `checkDefinition`, each with the part of the definition that it concerns. */
export function definitionProblems(definition: DatasetDefinition): PlacedProblem[] {
  return [
    ...definition.columns.flatMap((column, index) =>
      [
        ...columnProblems(column),
        ...wordProblems(column, definition),
        ...dayProblems(column, definition),
      ].map((problem) => ({
        path: `columns[${index}]`,
        message: `column "${column.name}" ${problem}`,
      })),
    ),
    ...at('columns', headerProblems(definition)),
    ...roleProblems(definition),
    ...targetProblems(definition),
    ...ruleProblems(definition),
  ]
}

/** Returns one statement per pattern, with its column. A statement fails if DuckDB does not accept the pattern. */
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
        ...tell(
          (column.minLength ?? 0) > maxLengthOf(column),
          `has a minLength above its maxLength of ${maxLengthOf(column)}`,
        ),
        ...tell(
          (column.enum ?? []).some((word) => word !== word.trim() || cleanCode(word) === ''),
          'has an enum value that is empty or has outer white space, which no cell can equal',
        ),
      ]
    case 'integer':
      return [
        ...tell((column.min ?? -Infinity) > (column.max ?? Infinity), 'has a min above its max'),
        ...tell(
          [column.min, column.max].some((bound) => bound !== undefined && !fitsBits(bound, column.bits)),
          `has a min or max that does not fit into ${column.bits} bits`,
        ),
        ...markProblems(column.thousandsMarks, column.zeroFraction),
      ]
    case 'decimal':
      return [
        ...tell(
          column.scale > column.precision,
          'has a scale (digits after the decimal mark) above its precision (all digits)',
        ),
        ...tell((column.min ?? -Infinity) > (column.max ?? Infinity), 'has a min above its max'),
        ...tell(
          [column.min, column.max].some((bound) => bound !== undefined && !fitsDecimal(bound, column)),
          `has a min or max that does not fit into decimal(${column.precision},${column.scale})`,
        ),
        ...markProblems(column.thousandsMarks, column.decimalMark),
      ]
    case 'date':
    case 'timestamp':
      return [
        ...tell(column.min > column.max, 'has a min after its max'),
        ...formatProblems(column),
        ...tell(
          column.type === 'timestamp' && !isTimeZone(column.timeZone),
          'has a time zone that does not exist',
        ),
      ]
    case 'boolean':
      return tell(
        column.trueWords.some((word) => column.falseWords.map(fold).includes(fold(word))),
        'has a word that is in both trueWords and falseWords',
      )
  }
}

function markProblems(
  thousandsMarks: readonly ThousandsMark[] | undefined,
  decimalMark: DecimalMark | undefined,
): string[] {
  return tell(
    (thousandsMarks ?? []).some((mark) => mark === decimalMark),
    `has the ${decimalMark} both as decimal mark and as thousands separator`,
  )
}

function formatProblems({
  formats,
  twoDigitYearPivot,
  dayMonthOrder: pinned,
}: DateColumn | TimestampColumn): string[] {
  const short = formats.some(hasShortYear)
  const orders = new Set(formats.flatMap((format) => dayMonthOrder(format) ?? []))
  return [
    ...tell(
      short && twoDigitYearPivot === undefined,
      'has a format with two-digit years, but no twoDigitYearPivot, the first year that is read as 19YY',
    ),
    ...tell(
      !short && twoDigitYearPivot !== undefined,
      'has a twoDigitYearPivot, but no format with two-digit years',
    ),
    ...tell(
      pinned === 'declared' && orders.size > 1,
      'declares the order of day and month, but has formats of both orders',
    ),
  ]
}

/** A text cannot be both a declared word for no value and an allowed value. */
function wordProblems(column: Column, definition: DatasetDefinition): string[] {
  const words = (column.nullWords ?? definition.nullWords ?? []).map(fold)
  const values =
    column.type === 'text'
      ? (column.enum ?? [])
      : column.type === 'boolean'
        ? [...column.trueWords, ...column.falseWords]
        : []
  return values
    .filter((value) => words.includes(fold(value)))
    .map((value) => `allows the value "${value}", which is also in nullWords`)
}

/** Bounds must lie within the days that every stage can write, count and compare. */
function dayProblems(column: Column, { windowColumn }: DatasetDefinition): string[] {
  if (column.type !== 'date' && column.type !== 'timestamp') return []
  const isWindow = column.name === windowColumn
  const { first, last } = isWindow ? WINDOW_DAYS : DAYS[column.type]
  const what = isWindow ? 'of the window column' : `of a ${column.type}`
  return [
    ...tell(column.min < first, `has a min before ${first}, the first possible day ${what}`),
    ...tell(column.max > last, `has a max after ${last}, the last possible day ${what}`),
  ]
}

/** The range is a day narrower on either side, because an instant falls on different days in different time zones. */
const DAYS = {
  date: { first: '0001-01-01', last: '9999-12-31' },
  timestamp: { first: '0001-01-02', last: '9999-12-30' },
}
/** The end of a window or month is exclusive, so the day after the last day must exist too. */
const WINDOW_DAYS = { first: '0001-01-02', last: '9998-12-31' }

function headerProblems(definition: DatasetDefinition): string[] {
  const owners = new Map<string, Set<string>>()
  for (const column of fileColumns(definition))
    for (const header of [column.name, ...column.aliases]) {
      const text = normaliseName(header)
      owners.set(text, (owners.get(text) ?? new Set()).add(column.name))
    }
  return [...owners].flatMap(([header, columns]) =>
    columns.size > 1 ? [`the header "${header}" names several columns: ${[...columns].join(', ')}`] : [],
  )
}

/** Compiles each rule, because only that shows whether the types that it compares match. */
function ruleProblems(definition: DatasetDefinition): PlacedProblem[] {
  const cells = new Map(cellsOf(definition).map((cell) => [cell.column.name, cell]))
  return definition.rules.flatMap((rule, index): PlacedProblem[] => {
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

/** Requires a name, because the sign of an offset has the opposite meaning in PostgreSQL. */
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
  return cleanCode(word).toLowerCase()
}

function tell(wrong: boolean, problem: string): string[] {
  return wrong ? [problem] : []
}
