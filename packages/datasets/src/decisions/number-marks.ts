import type { ColumnDecision } from '@aduana/contracts/column-decisions'
import type { Column, ThousandsMark } from '@aduana/contracts/dataset-definition'
import { counted, figure } from '@aduana/contracts/figures'
import { TAKE_BACK } from '@aduana/contracts/send-again'
import { z } from 'zod'
import { lit } from '../literals.ts'
import { MARKS, THOUSANDS, thousandsBeside } from '../rules/numbers.ts'
import { fullMatch } from '../rules/patterns.ts'
import { type Decided, type Example, outweighs, shownCell } from './decided.ts'

type Mark = 'point' | 'comma'
const other = (mark: Mark): Mark => (mark === 'point' ? 'comma' : 'point')

/** The open question about the numbers of a column. */
export interface NumberQuestion {
  column: string
  /** The decimal marks that the dataset allows. */
  marks: readonly Mark[]
  thousands: readonly ThousandsMark[]
  /** Number of digits that the column keeps after the mark; 0 for whole numbers. */
  scale: number
  whole: boolean
}

/** Returns the open question about the numbers of a column; undefined if there is none. */
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

/** Returns the decimal mark that a thousands mark implies, although a whole number has no decimals. */
function marksOfInteger(
  zeroFraction: Mark | 'either' | undefined,
  thousands: readonly ThousandsMark[],
): Mark[] {
  if (zeroFraction) return marksOf(zeroFraction)
  return (['point', 'comma'] as const).filter((mark) => thousands.includes(other(mark)))
}

/**
 * The class of a cell. `point`, `comma`: it can only be read with that decimal mark. `either_…`: the mark may be a decimal
 * or a thousands mark. `grouped_…`: likewise, but the column does not keep that many decimals.
 */
const CellClass = z.enum(['point', 'comma', 'either_point', 'either_comma', 'grouped_point', 'grouped_comma'])
type CellClass = z.infer<typeof CellClass>

/** A row that the query of `numberEvidence` returns. */
export const NumberEvidence = z.object({
  column: z.string(),
  class: CellClass,
  cells: z.int().positive(),
  line: z.int(),
  text: z.string(),
})
export type NumberEvidence = z.infer<typeof NumberEvidence>

/**
 * Returns a query that counts the cells of each class, with the first cell of each. `original` and `text` are SQL of the
 * cell: as written (`r` in `text`), and as the rules see it. Two patterns classify nearly all cells. The others are grouped
 * first, because DuckDB would otherwise evaluate the remaining patterns for every cell.
 */
export function numberEvidence(
  question: NumberQuestion,
  parsed: string,
  original: string,
  text: string,
): string {
  const usual = `case ${usualKinds(question, 'r').join(' ')} when ${hasMark('r')} then ${KINDS.rare} else 0 end`
  const kinds = `select _line, r, ${usual} as kind, contains(r, ',') as comma from (select _line, ${original} as r from ${parsed})`
  // DuckDB would move a condition on the kind itself below the grouping, and compute the kind twice.
  const groups = `select kind, comma, count(*) as cells, min(_line) as line, arg_min(r, _line) as r from (${kinds}) group by kind, comma, case when kind = ${KINDS.rare} then r end having max(kind) > 0`
  const rare = [...usualKinds(question, text, true), ...rareKinds(text)].join(' ')
  const all = `select * replace (case when kind = ${KINDS.rare} then case ${rare} end else kind end as kind) from (${groups})`
  const mark = `case when comma then 'comma' else 'point' end`
  const its = `case kind when ${KINDS.either} then 'either_' || ${mark} when ${KINDS.grouped} then 'grouped_' || ${mark} when ${KINDS.one} then ${mark} when ${KINDS.point} then 'point' when ${KINDS.comma} then 'comma' end`
  return `select ${lit(question.column)} as "column", ${its} as class, sum(cells)::bigint as cells, min(line) as line, left(arg_min(r, line), 100) as "text" from (${all}) where kind is not null group by class`
}

/** Returns SQL that is true if a cell may decide the question or contradict the dataset. `cell` is SQL of the cell. */
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

/** `either` and `grouped` as in `CellClass`; `one`: its mark must be the decimal mark; `rare`: anything else with a mark. */
const KINDS = { either: 1, grouped: 2, one: 3, point: 4, comma: 5, rare: 6 }

function isKind(text: string, pattern: string, kind: keyof typeof KINDS): string {
  return `when ${fullMatch(text, pattern)} then ${KINDS[kind]}`
}

/** Patterns of numbers with one point or comma; `withBlanks` of those with a blank or an apostrophe between thousands. */
function usualKinds({ scale }: NumberQuestion, text: string, withBlanks = false): string[] {
  const mark = MARKS.either
  const kept = scale < 3 ? String.raw`\d{${scale}}0{${3 - scale}}` : String.raw`\d{3}`
  const { blank, apostrophe } = THOUSANDS
  const blanks = String.raw`(?:(?:${blank}\d{3})+|(?:${apostrophe}\d{3})+)`
  return [
    isKind(text, `${GROUP}${mark}${kept}`, 'either'),
    ...(scale < 3 ? [isKind(text, String.raw`${GROUP}${mark}\d{3}`, 'grouped')] : []),
    isKind(text, String.raw`[+-]?\d*${mark}\d+`, 'one'),
    ...(withBlanks ? [isKind(text, String.raw`${GROUP}${blanks}${mark}\d+`, 'one')] : []),
  ]
}

/** Patterns of numbers with several marks, by the mark that must be the decimal mark. */
function rareKinds(text: string): string[] {
  return (['point', 'comma'] as const).flatMap((mark) => {
    const thousands = MARKS[other(mark)]
    return [
      isKind(text, String.raw`${GROUP}(?:${thousands}\d{3})+${MARKS[mark]}\d+`, mark),
      isKind(text, String.raw`${GROUP}(?:${thousands}\d{3}){2,}`, mark),
    ]
  })
}

/** Decides the decimal mark of a column. Returns undefined if no cell has a mark. */
export function decideMark(
  question: NumberQuestion,
  evidence: readonly NumberEvidence[],
): Decided | undefined {
  if (evidence.length === 0) return undefined
  const cells = (its: CellClass) =>
    evidence.reduce((sum, row) => sum + (row.class === its ? row.cells : 0), 0)
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

/** Decides if every cell is ambiguous. More digits than the column keeps suggest a thousands mark. */
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
    const why = `has cells such as ${shownCell(a)} and ${shownCell(b)}: one of the two marks must separate thousands, but no cell shows which`
    return { ...its, contradiction: why }
  }
  const mark: Mark = seen('point') > 0 ? 'point' : 'comma'
  if (grouped(mark) > 0) return decided(other(mark), 'cells')
  // Whole numbers with a mark and three zeros are usually thousands.
  return decided(question.whole ? other(mark) : mark, 'assumed')
}

/** Returns the number of cells that have a different value in each of the two readings. */
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
      contradiction: `has ${counted(agreeing, 'cell')} with a ${reading} before decimals, such as ${shownCell(examples.agreeing)}, and ${figure(contradicting)} with a ${other(asMark(reading))}, such as ${shownCell(examples.contradicting)}`,
    }
  if (ambiguous === 0) return {}
  return {
    contradiction: `is declared with a ${reading} before decimals, but ${shownCell(examples.contradicting)} can only be read with a ${other(asMark(reading))} before decimals, so ${counted(ambiguous, 'cell')} such as ${shownCell(examples.ambiguous)} may be wrong by a factor of 1,000`,
  }
}

function asMark(reading: ColumnDecision['reading']): Mark {
  return reading === 'point' ? 'point' : 'comma'
}

/** Returns the warning about numbers that can be read in two ways; undefined if there is none. */
export function markWarning(decision: Decided): string | undefined {
  const { by, ambiguous, reading, column, examples } = decision
  if (by !== 'assumed' || ambiguous === 0) return undefined
  const text = examples.ambiguous?.text ?? ''
  const written = text.includes(',') ? 'comma' : 'point'
  const [read, not] =
    written === reading
      ? ['a decimal mark', 'a thousands separator']
      : ['a thousands separator', 'a decimal mark']
  return `The ${written} in ${counted(ambiguous, 'cell')} of "${column}", such as ${shownCell(examples.ambiguous)}, was read as ${read}. It could also be ${not}; no other cell shows which. If the reading is wrong, ${TAKE_BACK}. Then write the numbers without thousands separators, or declare the marks in the dataset, and send the file again.`
}
