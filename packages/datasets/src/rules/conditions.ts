import { cleanCode } from '@aduana/contracts/characters'
import type { Column, Condition, CrossRule, Operand } from '@aduana/contracts/dataset-definition'
import { digitsOf, lit, plainNumber } from '../literals.ts'
import type { Cell, Check } from './checks.ts'

type Kind = 'number' | 'text' | 'date' | 'timestamp' | 'boolean'

/** The digits before and after the mark that an exact number needs. */
interface Digits {
  whole: number
  fraction: number
}

interface Term {
  sql: string
  kind: Kind
  digits: Digits
}

const NO_DIGITS: Digits = { whole: 0, fraction: 0 }
const INTEGER_DIGITS = { 16: 5, 32: 10, 64: 19 } as const

/** Returns the check of a cross-column rule. Throws if the rule compares values that cannot be compared. */
export function crossCheck(rule: CrossRule, cells: ReadonlyMap<string, Cell>): Check {
  const where = rule.when ? `coalesce(${conditionSql(rule.when, cells)}, false) and ` : ''
  const cell = rule.column === undefined ? undefined : cellOf(rule.column, cells)
  return {
    column: rule.column ?? null,
    code: rule.code,
    broken: `${where}(${conditionSql(rule.assert, cells)}) is false`,
    message: lit(rule.message),
    value: cell ? `left(${cell.original}, 200)` : 'NULL::VARCHAR',
  }
}

/** Returns SQL of a condition: true, false, or NULL if an empty cell leaves it undetermined. */
function conditionSql(condition: Condition, cells: ReadonlyMap<string, Cell>): string {
  switch (condition.op) {
    case 'present':
      return `(${cellOf(condition.column, cells).text} is not null)`
    case 'not':
      return `(not ${conditionSql(condition.of, cells)})`
    case 'all':
      return `(${condition.of.map((part) => conditionSql(part, cells)).join(' and ')})`
    case 'any':
      return `(${condition.of.map((part) => conditionSql(part, cells)).join(' or ')})`
    default:
      return comparison(condition.op, condition.left, condition.right, cells)
  }
}

function comparison(op: string, left: Operand, right: Operand, cells: ReadonlyMap<string, Cell>): string {
  const hint = kindOf(left, cells) ?? kindOf(right, cells)
  const isCode = [left, right].some(
    (side) => 'column' in side && cellOf(side.column, cells).reading.kind === 'code',
  )
  const against = { hint, isCode }
  const [a, b] = [term(left, cells, against), term(right, cells, against)]
  if (a.kind !== b.kind) throw new Error(`a ${a.kind} cannot be compared with a ${b.kind}`)
  if (a.kind === 'number' && !exact([a, b])) return `(${a.sql}::double ${op} ${b.sql}::double)`
  return `(${a.sql} ${op} ${b.sql})`
}

function term(
  operand: Operand,
  cells: ReadonlyMap<string, Cell>,
  { hint, isCode }: { hint: Kind | undefined; isCode: boolean },
): Term {
  if ('column' in operand) return columnTerm(cellOf(operand.column, cells))
  if ('sum' in operand) return sumTerm(operand.sum.map((name) => cellOf(name, cells)))
  const { value } = operand
  if (typeof value === 'number') return { sql: plainNumber(value), kind: 'number', digits: digitsOf(value) }
  if (typeof value === 'boolean') return { sql: String(value), kind: 'boolean', digits: NO_DIGITS }
  if (hint === 'date') return { sql: `date ${lit(day(value))}`, kind: 'date', digits: NO_DIGITS }
  if (hint === 'timestamp')
    return { sql: `timestamptz ${lit(instant(value))}`, kind: 'timestamp', digits: NO_DIGITS }
  return { sql: lit(isCode ? cleanCode(value) : value), kind: 'text', digits: NO_DIGITS }
}

function columnTerm(cell: Cell): Term {
  return { sql: cell.value, kind: kindOfColumn(cell.column), digits: columnDigits(cell.column) }
}

/** An empty cell counts as 0. A cell without a valid value makes the sum NULL, because it has a reason of its own. */
function sumTerm(cells: readonly Cell[]): Term {
  const terms = cells.map(columnTerm)
  const wrong = terms.find((part) => part.kind !== 'number')
  if (wrong) throw new Error(`only numbers can be added, not a ${wrong.kind}`)
  const fraction = Math.max(...terms.map((part) => part.digits.fraction))
  const whole = Math.max(...terms.map((part) => part.digits.whole)) + String(terms.length).length
  const type = whole + fraction > 38 ? 'double' : `decimal(38, ${fraction})`
  const bad = cells.map((cell) => `(${cell.text} is not null and ${cell.value} is null)`).join(' or ')
  const sum = added(terms.map((part) => `coalesce(${part.sql}, 0)::${type}`))
  return {
    sql: `(case when ${bad} then null else ${sum}::${type} end)`,
    kind: 'number',
    digits: { whole, fraction },
  }
}

/** Returns SQL of a sum as a balanced tree. In a chain each term adds a level of nesting, and DuckDB allows 1,000. */
function added(terms: readonly string[]): string {
  if (terms.length <= 2) return `(${terms.join(' + ')})`
  const half = Math.ceil(terms.length / 2)
  return `(${added(terms.slice(0, half))} + ${added(terms.slice(half))})`
}

/** Returns the digits of a decimal type that holds both numbers. */
function exact(terms: readonly Term[]): boolean {
  const whole = Math.max(...terms.map((part) => part.digits.whole))
  const fraction = Math.max(...terms.map((part) => part.digits.fraction))
  return whole + fraction <= 38
}

function kindOf(operand: Operand, cells: ReadonlyMap<string, Cell>): Kind | undefined {
  if ('column' in operand) return kindOfColumn(cellOf(operand.column, cells).column)
  return 'sum' in operand ? 'number' : undefined
}

function kindOfColumn(column: Column): Kind {
  return column.type === 'integer' || column.type === 'decimal' ? 'number' : column.type
}

function columnDigits(column: Column): Digits {
  if (column.type === 'integer') return { whole: INTEGER_DIGITS[column.bits], fraction: 0 }
  if (column.type === 'decimal') return { whole: column.precision - column.scale, fraction: column.scale }
  return NO_DIGITS
}

function cellOf(name: string, cells: ReadonlyMap<string, Cell>): Cell {
  const cell = cells.get(name)
  if (!cell) throw new Error(`there is no column "${name}"`)
  return cell
}

function day(text: string): string {
  const date = new Date(`${text}T00:00:00Z`)
  if (Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== text)
    throw new Error(`"${text}" is not a day of the form YYYY-MM-DD`)
  return text
}

function instant(text: string): string {
  const date = new Date(text)
  if (Number.isNaN(date.getTime()) || !/(?:Z|[+-]\d\d:\d\d)$/.test(text))
    throw new Error(`"${text}" is not an instant of the form 2026-01-31T08:00:00Z`)
  return date.toISOString()
}
