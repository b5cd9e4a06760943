import { cleanCode } from '@aduana/contracts/characters'
import {
  type DateColumn,
  type DecimalColumn,
  type IntegerColumn,
  maxLengthOf,
  type TextColumn,
  type ThousandsMark,
  type TimestampColumn,
} from '@aduana/contracts/dataset-definition'
import { nextDay } from '@aduana/contracts/dates'
import { counted, figure } from '@aduana/contracts/figures'
import type { RULE_CODES } from '@aduana/contracts/rejects'
import { isOneOf, lit, literals, plainNumber } from '../literals.ts'
import type { Zones } from '../zones.ts'
import { dayNumberHint, hasUndeclaredShortYear, thousandsHint } from './hints.ts'
import {
  decimalShape,
  decimalThousands,
  integerShape,
  integerThousands,
  roughDecimal,
  tooPreciseShape,
} from './numbers.ts'
import { fullMatch } from './patterns.ts'
import type { SpecialText } from './special-texts.ts'
import { isFault, isNullWord, type Texts } from './text.ts'
import { valueType } from './value-type.ts'
import { dayStart, localTimeSql } from './zone-sql.ts'

export type RuleCode = (typeof RULE_CODES)[number]

/** A column in the compiled queries: its texts, and the SQL name of its typed value. */
export interface Cell extends Texts {
  value: string
  /** The decision about how the column is read, for messages. */
  decided?: string
  /** For a timestamp without an offset: SQL of the local time (microseconds), and of its position in the zone's rules. */
  local: string
  position: string
}

/** One way in which a record can fail. All fields except `column` and `code` are SQL. */
export interface Check {
  /** Column of the definition, or null for the whole record. */
  column: string | null
  /** A RULE_CODE, or the code of a cross-column rule. */
  code: RuleCode | (string & {})
  /** True where the rule is broken; false or NULL where it is not. */
  broken: string
  /** The message that users see. */
  message: string
  /** The original text that is shown with it. */
  value: string
}

/** The rules of one column in two forms: one cheap condition, and a list of checks with messages. */
export interface ColumnRules {
  /**
   * SQL that is true for a good cell and false or NULL for any other. It names the value once, because DuckDB computes a
   * value again wherever a condition names it. If it is not true, at least one check fails.
   */
  good: string | null
  checks: Check[]
}

/** Returns the rules of a cell. `members` is SQL of the list of known codes, if unknown codes are rejected. */
export function columnRules(cell: Cell, zones: Zones, members?: string): ColumnRules {
  const { column, text } = cell
  const { condition, checks } = typeRules(cell, zones, members)
  const all = cell.careful === undefined ? checks : [...faultChecks(cell), ...unlessFault(text, checks)]
  const missing = `case when ${isNullWord(cell)} then ${says(cell, 'is a word for "no value"; a value is required')} when trim(coalesce(${cell.original}, '')) <> '' then ${says(cell, 'is empty after cleaning; a value is required')} else 'the cell is empty; a value is required' end`
  const required = check(cell, 'required', `${text} is null`, missing)
  if (column.required) return { good: condition ?? `${text} is not null`, checks: [required, ...all] }
  return { good: condition === null ? null : `(${text} is null or ${condition})`, checks: all }
}

/** A text that is refused gets only that reason, not also that it is no number. */
function unlessFault(text: string, checks: readonly Check[]): Check[] {
  return checks.map((one) => ({ ...one, broken: `(${one.broken}) and not ${isFault(text)}` }))
}

const FAULTS: Record<SpecialText, string> = {
  spreadsheet_error:
    'is an error of a spreadsheet formula, not a value. Correct the formula, or leave the cell empty',
  null_word:
    'is how databases export "no value". Leave the cell empty, or add the word to nullWords of the dataset',
  scientific_code:
    'is a code that a spreadsheet has rounded to a number. Format the column as text before you enter the codes, and export the file again',
}

/** Programs export this in place of values that are too wide for their column. */
const TOO_NARROW =
  'is what a spreadsheet shows when a column is too narrow. Widen the column, and export the file again'

function faultChecks(cell: Cell): Check[] {
  return cell.reading.special.faults.map(({ code }) => {
    const message = says(cell, FAULTS[code])
    const hidden = `contains(${cell.original}, '####')`
    return check(
      cell,
      code,
      isFault(cell.text, code),
      code === 'spreadsheet_error'
        ? `case when ${hidden} then ${says(cell, TOO_NARROW)} else ${message} end`
        : message,
    )
  })
}

function typeRules(
  cell: Cell,
  zones: Zones,
  members?: string,
): { condition: string | null; checks: Check[] } {
  const { column } = cell
  switch (column.type) {
    case 'text':
      return textRules(cell, column, members)
    case 'integer':
      return integerRules(cell, column)
    case 'decimal':
      return decimalRules(cell, column)
    case 'date':
      return momentRules(cell, column, {
        code: 'not_a_date',
        message: notOfForm(
          cell,
          column,
          `a date of the form ${either(column.formats)}${column.midnight ? ', alone or with a time of 00:00' : ''}`,
        ),
        first: `date ${lit(column.min)}`,
        last: `date ${lit(column.max)}`,
      })
    case 'timestamp':
      return timestampRules(cell, zones, column)
    case 'boolean':
      return {
        condition: `${cell.value} is not null`,
        checks: [
          check(
            cell,
            'not_a_boolean',
            `${cell.text} is not null and ${cell.value} is null`,
            says(
              cell,
              `is neither yes (${column.trueWords.join(', ')}) nor no (${column.falseWords.join(', ')})`,
            ),
          ),
        ],
      }
  }
}

function textRules(cell: Cell, column: TextColumn, members: string | undefined) {
  const allowed = cell.reading.kind === 'code' ? column.enum?.map(cleanCode) : column.enum
  const { value } = cell
  const most = maxLengthOf(column)
  const rules: { holds: string; code: RuleCode; message: string }[] = [
    {
      holds: `length(${value}) <= ${most}`,
      code: 'too_long',
      message: `'the value has ' || format('{:,}', length(${value})) || ${lit(` characters; at most ${figure(most)} are allowed`)}`,
    },
  ]
  if (column.minLength !== undefined)
    rules.push({
      holds: `length(${value}) >= ${column.minLength}`,
      code: 'too_short',
      message: says(cell, `has fewer than ${counted(column.minLength, 'character')}`),
    })
  if (column.pattern !== undefined)
    rules.push({
      holds: fullMatch(value, column.pattern),
      code: 'pattern',
      message: says(cell, `is not of the form ${column.patternMeaning ?? column.pattern}`),
    })
  if (column.enum && allowed)
    rules.push({
      holds: allowedText(value, allowed),
      code: 'not_allowed',
      message: says(cell, `is not one of ${some(column.enum)}`),
    })
  if (members !== undefined && column.dimension)
    rules.push({
      holds: `${value} in (${members})`,
      code: 'unknown_member',
      message: says(cell, `is not a known ${column.dimension.key} of ${column.dimension.table}`),
    })
  return {
    condition: `(${rules.map((rule) => rule.holds).join(' and ')})`,
    checks: rules.map((rule) =>
      check(cell, rule.code, `${value} is not null and (${rule.holds}) is not true`, rule.message),
    ),
  }
}

/** A long list is compared as a table, because a list of literals is evaluated in full for every row. */
function allowedText(value: string, list: readonly string[]): string {
  return list.length <= 40 ? isOneOf(value, list) : `${value} in (select unnest([${literals(list)}]))`
}

const INTEGER_BOUNDS = {
  16: ['-32768', '32767'],
  32: ['-2147483648', '2147483647'],
  64: ['-9223372036854775808', '9223372036854775807'],
} as const

function integerRules(cell: Cell, column: IntegerColumn) {
  const { text } = cell
  const [lowest, highest] = INTEGER_BOUNDS[column.bits]
  const min = column.min === undefined ? lowest : plainNumber(column.min)
  const max = column.max === undefined ? highest : plainNumber(column.max)
  const isNumber = fullMatch(text, integerShape(column))
  return numberRules(cell, {
    min,
    max,
    code: 'not_an_integer',
    isNumber,
    what: `a whole number${wholeNumberMarks(column)}`,
    hint: thousandsHint(text, column.thousandsMarks, column.zeroFraction),
    keeps: isNumber,
  })
}

function decimalRules(cell: Cell, column: DecimalColumn) {
  const { text } = cell
  const limit = `${'9'.repeat(column.precision - column.scale) || '0'}${column.scale > 0 ? `.${'9'.repeat(column.scale)}` : ''}`
  const isNumber = fullMatch(text, decimalShape(column))
  const precise = `not regexp_matches(${text}, ${lit(tooPreciseShape(column))})`
  const mark = MARK_NAMES[column.decimalMark]
  const thousands = decimalThousands(column)
  const marks =
    thousands.length === 0
      ? `${mark} before decimals and no other mark`
      : `${mark} before decimals and ${between(thousands)}`
  const rules = numberRules(cell, {
    min: column.min === undefined ? `-${limit}` : plainNumber(column.min),
    max: column.max === undefined ? limit : plainNumber(column.max),
    code: 'not_a_decimal',
    isNumber,
    what: `a decimal number with ${marks}`,
    hint: thousandsHint(text, column.thousandsMarks, column.decimalMark),
    keeps: `${isNumber} and ${precise}`,
    // A number with too many decimals has no value, but may also be out of bounds.
    about: roughDecimal(column, text),
  })
  const tooPrecise = check(
    cell,
    'too_precise',
    `${isNumber} and not (${precise})`,
    says(cell, `has more than ${counted(column.scale, 'digit')} after the decimal mark`),
  )
  return { condition: rules.condition, checks: [...rules.checks, tooPrecise] }
}

interface NumberRule {
  min: string
  max: string
  code: RuleCode
  what: string
  /** SQL that is true if the text is such a number, of any size. */
  isNumber: string
  /** SQL that is true if the column also keeps all its digits, unless it is too large. */
  keeps: string
  /** SQL of the end of the message about a text that is no such number. */
  hint: string
  /** SQL of the approximate value of a number with more digits than the column keeps. */
  about?: string
}

/** A well-formed number without a value is out of the range of its type, above or below by its sign. */
function numberRules(cell: Cell, rule: NumberRule) {
  const { column, text, value } = cell
  const [min, max] = [rule.min, rule.max].map((bound) => `${lit(bound)}::${valueType(column)}`)
  const overflow = (sign: string) =>
    `(${value} is null and ${rule.keeps} and ${sign === '-' ? '' : 'not '}starts_with(${text}, '-'))`
  const roughly = (comparison: string) =>
    rule.about
      ? ` or coalesce(${value} is null and ${rule.isNumber} and ${rule.about} ${comparison}, false)`
      : ''
  return {
    condition: `${value} between ${min} and ${max}`,
    checks: [
      check(
        cell,
        rule.code,
        `${text} is not null and not ${rule.isNumber}`,
        `${says(cell, `is not ${rule.what}${decidedOf(cell)}`)} || ${rule.hint}`,
      ),
      check(
        cell,
        'too_small',
        `coalesce(${value} < ${min}, false) or ${overflow('-')}${roughly(`< ${lit(rule.min)}::double`)}`,
        says(cell, `is less than ${rule.min}`),
      ),
      check(
        cell,
        'too_large',
        `coalesce(${value} > ${max}, false) or ${overflow('+')}${roughly(`> ${lit(rule.max)}::double`)}`,
        says(cell, `is more than ${rule.max}`),
      ),
    ],
  }
}

const MARK_NAMES = { point: 'a point', comma: 'a comma', either: 'a comma or a point' }
const THOUSANDS_NAMES = { point: 'points', comma: 'commas', blank: 'blanks', apostrophe: 'apostrophes' }

function between(thousands: readonly ThousandsMark[]): string {
  return `${either(thousands.map((mark) => THOUSANDS_NAMES[mark]))} between thousands`
}

/** Returns the part of a message on the marks that a whole number may have. */
function wholeNumberMarks(column: IntegerColumn): string {
  const thousands = integerThousands(column)
  const allowed = [
    ...(thousands.length === 0 ? [] : [between(thousands)]),
    ...(column.zeroFraction ? [`zeros after ${MARK_NAMES[column.zeroFraction]}`] : []),
  ]
  return allowed.length === 0 ? '' : ` (allowed: ${allowed.join('; ')})`
}

/** Returns SQL of the message about a text that has none of the formats of its column. */
function notOfForm(cell: Cell, column: DateColumn | TimestampColumn, form: string): string {
  const short = says(cell, `has a two-digit year; expected ${form}${decidedOf(cell)}`)
  const other = `${says(cell, `is not ${form}${decidedOf(cell)}`)} || ${dayNumberHint(cell.text)}`
  return `case when ${hasUndeclaredShortYear(column, cell.text)} then ${short} else ${other} end`
}

function decidedOf({ decided }: Cell): string {
  return decided === undefined ? '' : `; ${decided}`
}

/** `min` and `max` are days of the time zone. A well-formed time may not exist there, because clocks skipped it. */
function timestampRules(cell: Cell, zones: Zones, column: TimestampColumn) {
  const { timeZone, min, max, formats } = column
  const malformed = notOfForm(cell, column, `a date and time of the form ${either(formats)}`)
  const unshown = localTimeSql(zones, column, cell.local, cell.position).message
  return momentRules(cell, column, {
    code: 'not_a_timestamp',
    message: `case when ${cell.local} is null then ${malformed} else ${quoted(cell)} || ${unshown} end`,
    first: dayStart(zones, timeZone, min),
    last: `${dayStart(zones, timeZone, nextDay(max))} - interval 1 microsecond`,
  })
}

/** Returns the checks of dates and instants. `first` and `last` are SQL. */
function momentRules(
  cell: Cell,
  { min, max }: DateColumn | TimestampColumn,
  { code, message, first, last }: { code: RuleCode; message: string; first: string; last: string },
) {
  const { text, value } = cell
  return {
    condition: `${value} between ${first} and ${last}`,
    checks: [
      check(cell, code, `${text} is not null and ${value} is null`, message),
      check(cell, 'too_small', `${value} < ${first}`, says(cell, `is before ${min}`)),
      check(cell, 'too_large', `${value} > ${last}`, says(cell, `is after ${max}`)),
    ],
  }
}

/** Returns a check on one cell. */
export function check(cell: Cell, code: Check['code'], broken: string, message: string): Check {
  return { column: cell.column.name, code, broken, message, value: `left(${cell.original}, 200)` }
}

/** Returns SQL of a message that begins with the quoted text of a cell. */
export function says(cell: Cell, rest: string): string {
  return `${quoted(cell)} || ${lit(` ${rest}`)}`
}

function quoted(cell: Cell): string {
  return `'"' || left(coalesce(${cell.original}, ''), 100) || '"'`
}

/** Returns `A, B or C`. */
function either(options: readonly string[]): string {
  return options.length < 2 ? options.join('') : `${options.slice(0, -1).join(', ')} or ${options.at(-1)}`
}

function some(options: readonly string[]): string {
  const shown = options.slice(0, 10).map((option) => `"${option}"`)
  return options.length > 10 ? `${shown.join(', ')} … (${options.length} in all)` : either(shown)
}
