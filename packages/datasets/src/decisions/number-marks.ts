import type { ColumnDecision } from '@aduana/contracts/column-decisions'
import type { Column, ThousandsMark } from '@aduana/contracts/dataset-definition'
import { z } from 'zod'
import { lit } from '../literals.ts'
import { MARKS, THOUSANDS, thousandsBeside } from '../rules/numbers.ts'
import { fullMatch } from '../rules/patterns.ts'
import { counted, type Decided, type Example, outweighs, shownCell } from './decided.ts'

type Mark = 'point' | 'comma'
const other = (mark: Mark): Mark => (mark === 'point' ? 'comma' : 'point')

/** What is to be found out about the numbers of a column. */
export interface NumberQuestion {
  column: string
  /** What may stand before decimals; one: the dataset allows no other. */
  marks: readonly Mark[]
  thousands: readonly ThousandsMark[]
  /** Digits after the mark that the column keeps; 0 for whole numbers. */
  scale: number
  whole: boolean
}

/** The question that a column of numbers raises; undefined when it has none. */
export function numberQuestion(column: Column): NumberQuestion | undefined {
  if ((column.type !== 'integer' && column.type !== 'decimal') || column.normalise.includes('digits-only'))
    return undefined
  const thousands = column.thousandsMarks ?? []
  const whole = column.type === 'integer'
  const marks = whole ? marksOfInteger(column.zeroFraction, thousands) : marksOf(column.decimalMark)
  if (marks.length === 0) return undefined
  return { column: column.name, marks, thousands, scale: whole ? 0 : column.scale, whole }
}

function marksOf(mark: Mark | 'either'): Mark[] {
  return mark === 'either' ? ['point', 'comma'] : [mark]
}

/** A mark between thousands leaves the other one for decimals, although a whole number has none. */
function marksOfInteger(
  zeroFraction: Mark | 'either' | undefined,
  thousands: readonly ThousandsMark[],
): Mark[] {
  if (zeroFraction) return marksOf(zeroFraction)
  return (['point', 'comma'] as const).filter((mark) => thousands.includes(other(mark)))
}

/**
 * What a cell says. `point`, `comma`: it can only be read with that mark before decimals. `either_…`: that mark may
 * stand before decimals or between thousands. `grouped_…`: likewise, but the column does not keep that many decimals.
 */
const CellClass = z.enum(['point', 'comma', 'either_point', 'either_comma', 'grouped_point', 'grouped_comma'])
type CellClass = z.infer<typeof CellClass>

/** A row of the statement of `numberEvidence`. */
export const NumberEvidence = z.object({
  column: z.string(),
  class: CellClass,
  cells: z.int().positive(),
  line: z.int(),
  text: z.string(),
})
export type NumberEvidence = z.infer<typeof NumberEvidence>

/**
 * A query that counts the cells of each class, with the first of each. `original` and `text` are SQL of the cell: as it
 * is written, and as the rules see it.
 */
export function numberEvidence(
  question: NumberQuestion,
  parsed: string,
  original: string,
  text: string,
): string {
  const classes = `case when ${hasMark('r')} then coalesce(${classOf(question, 'r')}, ${classOf(question, `(${text})`)}) end`
  return `select ${lit(question.column)} as "column", class, count(*) as cells, min(_line) as line, arg_min(left(r, 100), _rec) as "text"
    from (select _rec, _line, r, ${classes} as class from (select _rec, _line, ${original} as r from ${parsed})) where class is not null group by class`
}

/** SQL: a cell may say something that the dataset leaves open, or contradicts. `cell` is SQL of it. */
export function mayTell({ marks }: NumberQuestion, cell: string): string {
  const [mark] = marks
  if (marks.length !== 1 || mark === undefined) return hasMark(cell)
  const own = mark === 'point' ? '.' : ','
  return `(contains(${cell}, ${lit(mark === 'point' ? ',' : '.')}) or ${cell} like ${lit(`%${own}%${own}%`)})`
}

function hasMark(text: string): string {
  return `(contains(${text}, ',') or contains(${text}, '.'))`
}

const GROUP = String.raw`[+-]?[1-9]\d{0,2}`

function classOf({ scale }: NumberQuestion, text: string): string {
  const isClass = (pattern: string, its: CellClass) => `when ${fullMatch(text, pattern)} then ${lit(its)}`
  const only = (mark: Mark) => {
    const m = MARKS[mark]
    const kept = scale < 3 ? String.raw`\d{${scale}}0{${3 - scale}}` : String.raw`\d{3}`
    const blanks = `(?:(?:${THOUSANDS.blank}\\d{3})+|(?:${THOUSANDS.apostrophe}\\d{3})+)`
    return [
      'case',
      isClass(`${GROUP}${m}${kept}`, `either_${mark}`),
      ...(scale < 3 ? [isClass(String.raw`${GROUP}${m}\d{3}`, `grouped_${mark}`)] : []),
      isClass(String.raw`[+-]?\d*${m}\d+|${GROUP}${blanks}${m}\d+`, mark),
      isClass(String.raw`${GROUP}(?:${m}\d{3}){2,}`, other(mark)),
      'end',
    ].join(' ')
  }
  const both = (['point', 'comma'] as const).map((mark) =>
    isClass(String.raw`${GROUP}(?:${MARKS[other(mark)]}\d{3})+${MARKS[mark]}\d+`, mark),
  )
  return `case when not contains(${text}, '.') then ${only('comma')} when not contains(${text}, ',') then ${only('point')} ${both.join(' ')} end`
}

/** Decides what stands before the decimals of a column; undefined when no cell has a mark. */
export function decideMark(
  question: NumberQuestion,
  evidence: readonly NumberEvidence[],
): Decided | undefined {
  if (evidence.length === 0) return undefined
  const cells = (its: CellClass) => evidence.find((row) => row.class === its)?.cells ?? 0
  const first = (...classes: CellClass[]): Example | undefined =>
    evidence.filter((row) => classes.includes(row.class)).sort((a, b) => a.line - b.line)[0]
  const decided = (reading: Mark, by: ColumnDecision['by']): Decided => {
    const open = readBothWays(question, reading)
    const ambiguous = open.reduce((sum, its) => sum + cells(its), 0)
    const decision: ColumnDecision = {
      ...{ column: question.column, about: 'decimal_mark', reading, by, ambiguous },
      ...{ agreeing: cells(reading), contradicting: cells(other(reading)) },
    }
    const examples = {
      agreeing: first(reading),
      contradicting: first(other(reading)),
      ambiguous: first(...open),
    }
    return { ...decision, examples, ...contradiction(question, decision, examples) }
  }
  const [only] = question.marks
  if (question.marks.length === 1 && only) return decided(only, 'declared')
  if (cells('point') + cells('comma') > 0)
    return decided(cells('comma') >= cells('point') ? 'comma' : 'point', 'cells')
  return undecided(question, cells, decided, first)
}

/** No cell can only be read in one way. More digits than the column keeps speak for thousands. */
function undecided(
  question: NumberQuestion,
  cells: (its: CellClass) => number,
  decided: (reading: Mark, by: ColumnDecision['by']) => Decided,
  first: (...classes: CellClass[]) => Example | undefined,
): Decided {
  const grouped = (mark: Mark) => cells(`grouped_${mark}`)
  const seen = (mark: Mark) => cells(`either_${mark}`) + grouped(mark)
  if (seen('point') > 0 && seen('comma') > 0) {
    const its = decided('point', 'assumed')
    const [a, b] = (['point', 'comma'] as const).map((mark) => first(`either_${mark}`, `grouped_${mark}`))
    const why = `has cells such as ${shownCell(a)} and ${shownCell(b)}: one of the two marks must stand between thousands, and no cell tells which`
    return { ...its, contradiction: why }
  }
  const mark: Mark = seen('point') > 0 ? 'point' : 'comma'
  if (grouped(mark) > 0) return decided(other(mark), 'cells')
  // Whole numbers with three zeros behind a mark are thousands more often than not.
  return decided(question.whole ? other(mark) : mark, 'assumed')
}

/** The cells that have a value in this reading, and another one in the other. */
function readBothWays({ thousands, whole }: NumberQuestion, reading: Mark): CellClass[] {
  const grouping = other(reading)
  return [
    `either_${reading}` as const,
    ...(thousandsBeside([...thousands], reading).includes(grouping)
      ? ([`either_${grouping}`, ...(whole ? [`grouped_${grouping}` as const] : [])] as const)
      : []),
  ]
}

function contradiction(
  { marks }: NumberQuestion,
  decision: ColumnDecision,
  examples: Decided['examples'],
): { contradiction?: string } {
  const { agreeing, contradicting, ambiguous, reading } = decision
  if (!outweighs(contradicting, agreeing)) return {}
  if (marks.length > 1)
    return {
      contradiction: `has ${counted(agreeing, 'cell')} with a ${reading} before decimals, such as ${shownCell(examples.agreeing)}, and ${contradicting} with a ${other(asMark(reading))}, such as ${shownCell(examples.contradicting)}`,
    }
  if (ambiguous === 0) return {}
  return {
    contradiction: `is declared to have a ${reading} before decimals, but ${shownCell(examples.contradicting)} can only be read otherwise, so ${counted(ambiguous, 'cell')} such as ${shownCell(examples.ambiguous)} may mean a thousand times as much, or as little`,
  }
}

function asMark(reading: ColumnDecision['reading']): Mark {
  return reading === 'point' ? 'point' : 'comma'
}

/** What a person is told of numbers that could be read in two ways. */
export function markWarning(decision: Decided): string | undefined {
  const { by, ambiguous, reading, column, examples } = decision
  if (by !== 'assumed' || ambiguous === 0) return undefined
  const text = examples.ambiguous?.text ?? ''
  const written = text.includes(',') ? 'comma' : 'point'
  const [read, not] =
    written === reading ? ['before decimals', 'between thousands'] : ['between thousands', 'before decimals']
  return `In "${column}" the ${written} of ${counted(ambiguous, 'cell')} such as ${shownCell(examples.ambiguous)} was read as standing ${read}; it may as well stand ${not}, and no other cell tells. If that is wrong, undo the import and write the numbers without marks between thousands, or let the dataset declare the marks.`
}
