import { cleanCode } from '@aduana/contracts/characters'
import type { DatasetDefinition, TimestampColumn } from '@aduana/contracts/dataset-definition'
import { type DayRange, nextDay } from '@aduana/contracts/dates'
import { asFields } from '@aduana/contracts/send-again'
import { fileColumns } from '../header.ts'
import { isOneOf, lit } from '../literals.ts'
import { MAX_INLINE_BYTES, POINTER, type RowSize } from '../row-size.ts'
import type { TextLimit } from '../text-limits.ts'
import type { Zones } from '../zones.ts'
import { type Cell, type Check, check, columnRules, says } from './checks.ts'
import { crossCheck } from './conditions.ts'
import {
  judgedGroups,
  normalisedText,
  notesOf,
  originalText,
  readAlike,
  readingOf,
  settledGroups,
  trimmedTexts,
} from './text.ts'
import { exactTime, localTime, typedValue } from './values.ts'
import { localDay, localPosition, localTimeSql, ZONE_TABLE } from './zone-sql.ts'

/** The rules that an import adds to those of its definition. */
export interface ImportRules {
  /** Columns of the definition that the file contains. */
  brought: readonly string[]
  /** Columns with a cell that may need cleaning; undefined if unknown, which means all columns. */
  careful?: ReadonlySet<string>
  /** The decision about how each column is read, for messages. */
  decided: ReadonlyMap<string, string>
  /** Records with a day outside of this range are rejected. */
  window?: DayRange
  /** Records of other companies and warehouses are rejected. */
  scope?: { companies?: readonly string[]; warehouses?: readonly string[] }
  /** SQL of the list of known codes, per column whose unknown codes are rejected. */
  members: ReadonlyMap<string, string>
  /** Limits on the length of texts besides those of their columns. */
  textLimits: readonly TextLimit[]
  /** Byte limit of a row of the table. */
  rowSize: RowSize | undefined
  /** The rules of the time zones of the definition. */
  zones: Zones
}

/** The compiled rules of one record. */
export interface RecordRules {
  cells: Cell[]
  /** SQL that is true if the record breaks no rule; never NULL. */
  good: string
  checks: Check[]
}

/**
 * Returns the columns that a file may contain, with their names in the compiled queries, numbered by position: `r0` original
 * text, `c0` trimmed text of a careful cell, `t0` normalised text, `v0` typed value; `l0` and `p0` local time and its
 * position in the rules of the time zone.
 */
export function cellsOf(definition: DatasetDefinition, careful?: ReadonlySet<string>): Cell[] {
  const columns = fileColumns(definition).map((column) => ({
    column,
    reading: readingOf(definition, column),
  }))
  const closely = columns.filter(({ column }) => careful === undefined || careful.has(column.name))
  const places = new Map(
    readAlike(closely).flatMap((its, group) =>
      its.map(({ column }, index) => [column.name, { group, place: index + 1 }] as const),
    ),
  )
  const carefulOf = (name: string, index: number) => {
    const its = places.get(name)
    return its && { ...its, trimmed: `c${index}` }
  }
  return columns.map((cell, index) => ({
    ...cell,
    careful: carefulOf(cell.column.name, index),
    original: `r${index}`,
    text: `t${index}`,
    value: `v${index}`,
    local: `l${index}`,
    position: `p${index}`,
  }))
}

/** Returns a definition's rules, compiled for one import. All texts of the author are passed as literals. */
export function compileRecordRules(definition: DatasetDefinition, rules: ImportRules): RecordRules {
  const cells = cellsOf(definition, rules.careful).map((cell): Cell => {
    const decided = rules.decided.get(cell.column.name)
    return decided === undefined ? cell : { ...cell, decided }
  })
  const byName = new Map(cells.map((cell) => [cell.column.name, cell]))
  const columns = cells.map((cell) => columnRules(cell, rules.zones, rules.members.get(cell.column.name)))
  const extra = [
    ...definition.rules.map((rule) => crossCheck(rule, byName)),
    ...windowChecks(definition, rules, byName),
    ...scopeChecks(definition, rules, byName),
    ...lengthChecks(rules, byName),
    ...rowChecks(rules, byName),
  ]
  const conditions = [
    ...columns.flatMap(({ good }) => (good === null ? [] : [good])),
    ...extra.map(({ broken }) => `(${broken}) is not true`),
  ]
  return {
    cells,
    good: conditions.length > 0 ? `coalesce(${conditions.join(' and ')}, false)` : 'true',
    checks: [...columns.flatMap(({ checks }) => checks), ...extra],
  }
}

/**
 * Returns a subquery over `source` that adds the normalised text and the typed value of every cell, and the notes of a
 * record as `_notes` if there may be any. Timestamps need two intermediate steps, because DuckDB computes an expression again
 * wherever it is named; the subquery reads `ZONE_TABLE` for them.
 */
export function valuesQuery(source: string, cells: readonly Cell[], rules: ImportRules): string {
  const { zones } = rules
  const originals = cells.map(
    ({ column, original }) => `${originalText(column, rules.brought.includes(column.name))} as ${original}`,
  )
  const texts = cells.map((cell) => `${normalisedText(cell)} as ${cell.text}`)
  const times = timestampsOf(cells)
  const locals = times.map(({ column, text, local }) => `epoch_us(${localTime(column, text)}) as ${local}`)
  const positions = times.map(
    ({ column, local, position }) => `${localPosition(zones, column, local)} as ${position}`,
  )
  const values = cells.map((cell) => `${typedOf(cell, zones)} as ${cell.value}`)
  const read = `(select _rec, _line, _off, _len, ${originals.join(', ')} from ${source})`
  const notes = notesOf(cells)
  const steps = [
    trimmedTexts(cells),
    settledGroups(cells),
    judgedGroups(cells),
    [...texts, ...(notes === undefined ? [] : [`${notes} as _notes`])],
  ].filter((columns) => columns.length > 0)
  const seen = steps.reduce((from, columns) => `(select *, ${columns.join(', ')} from ${from})`, read)
  const timed =
    times.length === 0
      ? seen
      : `(select *, ${positions.join(', ')} from (select *, ${locals.join(', ')} from ${seen}), ${ZONE_TABLE})`
  return `(select *, ${values.join(', ')} from ${timed})`
}

/** A cell that is a timestamp. */
export type TimestampCell = Cell & { column: TimestampColumn }

/** Returns the cells that are timestamps. */
export function timestampsOf(cells: readonly Cell[]): TimestampCell[] {
  return cells.filter((cell): cell is TimestampCell => cell.column.type === 'timestamp')
}

function typedOf({ column, text, careful, local, position }: Cell, zones: Zones): string {
  if (column.type !== 'timestamp') return typedValue(column, { text, careful })
  const { instant } = localTimeSql(zones, column, local, position)
  const exact = exactTime(column, text)
  return exact === undefined ? instant : `case when ${local} is not null then ${instant} else ${exact} end`
}

/** Returns SQL of the day (a DATE) of a cell with a date or an instant. For an instant the query must name `ZONE_TABLE`. */
export function dayOf(cell: { column: Cell['column']; value: string }, zones: Zones): string {
  return cell.column.type === 'timestamp' ? localDay(zones, cell.column, cell.value) : cell.value
}

function windowChecks(definition: DatasetDefinition, rules: ImportRules, cells: Map<string, Cell>): Check[] {
  const cell = cells.get(definition.windowColumn ?? '')
  if (!rules.window || !cell) return []
  const { from, to } = rules.window
  const day = dayOf(cell, rules.zones)
  const broken = `${day} < date ${lit(from)} or ${day} >= date ${lit(to)}`
  const outside = says(cell, `is outside the declared window, ${from} to ${to} (exclusive)`)
  const onEnd = lit(`${END_IS_EXCLUSIVE}. To include ${to}, declare ${asFields({ to: nextDay(to) })}. `)
  return [
    check(
      cell,
      'outside_window',
      broken,
      `case when ${day} = date ${lit(to)} then ${onEnd} else '' end || ${outside}`,
    ),
  ]
}

/** How the message continues if a record has the day that was declared as `to`. */
export const END_IS_EXCLUSIVE = 'The end of the window (to) is exclusive'

function scopeChecks(definition: DatasetDefinition, rules: ImportRules, cells: Map<string, Cell>): Check[] {
  const lists: [string | undefined, readonly string[] | undefined, string][] = [
    [definition.scope?.company, rules.scope?.companies, 'company'],
    [definition.scope?.warehouse, rules.scope?.warehouses, 'warehouse'],
  ]
  return lists.flatMap(([name, allowed, what]) => {
    const cell = cells.get(name ?? '')
    if (!cell || !allowed) return []
    const known = cell.reading.kind === 'code' ? allowed.map(cleanCode) : allowed
    const inside = known.length === 0 ? 'false' : isOneOf(cell.value, known)
    const broken = `${cell.value} is not null and not (${inside})`
    return [check(cell, 'outside_scope', broken, says(cell, `is not a ${what} that this import may change`))]
  })
}

function lengthChecks({ textLimits }: ImportRules, cells: Map<string, Cell>): Check[] {
  return textLimits.flatMap(({ columns, most, unit, what }) => {
    const its = columns.flatMap((name) => cells.get(name) ?? [])
    const [first] = its
    if (!first) return []
    const length = unit === 'bytes' ? 'strlen' : 'length'
    const taken = `(${its.map(({ value }) => `coalesce(${length}(${value}), 0)`).join(' + ')})`
    const subject = its.length === 1 ? 'the value has ' : `together, ${columns.join(', ')} have `
    const message = `${lit(subject)} || ${taken} || ${lit(` ${unit}; ${what} can have at most ${most}`)}`
    return [check(first, 'too_long', `${taken} > ${most}`, message)]
  })
}

/** A record can be too large for a row only with hundreds of columns. */
function rowChecks({ rowSize }: ImportRules, cells: Map<string, Cell>): Check[] {
  if (!rowSize) return []
  const sizes = rowSize.columns.flatMap(({ name, text, bytes }) => {
    const value = cells.get(name)?.value
    if (value === undefined) return []
    const size = text
      ? `case when strlen(${value}) < ${MAX_INLINE_BYTES} then strlen(${value}) + 1 else ${POINTER} end`
      : `${bytes}`
    return [`case when ${value} is null then 0 else ${size} end`]
  })
  const taken = `(${rowSize.always} + list_sum([${sizes.join(', ')}]))`
  const message = `'the record takes ' || ${taken} || ${lit(` bytes of a row; a row can have at most ${rowSize.most}. Leave some values empty`)}`
  return [
    { column: null, code: 'too_long', broken: `${taken} > ${rowSize.most}`, message, value: 'NULL::VARCHAR' },
  ]
}
