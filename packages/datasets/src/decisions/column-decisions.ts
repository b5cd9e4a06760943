import { ColumnDecision } from '@aduana/contracts/column-decisions'
import type { Column, DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { JobFailure } from '@aduana/contracts/failures'
import { type ImportWarning, importWarning } from '@aduana/contracts/import-warnings'
import { z } from 'zod'
import { fileColumns } from '../header.ts'
import { lit, quoteIdentifier } from '../literals.ts'
import { dayMonthOrder } from '../rules/formats.ts'
import { thousandsBeside } from '../rules/numbers.ts'
import { cleanedText, readingOf } from '../rules/text.ts'
import type { NamedStatement } from '../statement.ts'
import type { ParsedFile, Survey } from '../validation/survey.ts'
import { DayMonthEvidence, dayMonthEvidence, dayMonthQuestion, decideDayMonth } from './day-month.ts'
import { type Decided, shownCell } from './decided.ts'
import { decideMark, markWarning, NumberEvidence, numberEvidence, numberQuestion } from './number-marks.ts'

/** Above this number, queries are combined into one statement. */
const MAX_QUERIES = 40

/**
 * Returns statements that read all cells of the columns that a survey found to have evidence; empty if there are none. Pass
 * their results to `readDecisions`.
 */
export function evidenceStatements(
  definition: DatasetDefinition,
  { parsed: path }: ParsedFile,
  { careful, telling }: Survey,
): NamedStatement[] {
  const parsed = `read_parquet(${lit(path)})`
  const asked = fileColumns(definition).filter(({ name }) => telling.has(name))
  const sqlOf = (column: Column) => {
    const text = cleanedText(column, readingOf(definition, column), 'r', careful.has(column.name))
    return [parsed, quoteIdentifier(column.name), text] as const
  }
  const numbers = asked.flatMap((column) => {
    const question = numberQuestion(column)
    return question ? [numberEvidence(question, ...sqlOf(column))] : []
  })
  const days = asked.flatMap((column) => {
    const question = dayMonthQuestion(column)
    return question ? [dayMonthEvidence(question, ...sqlOf(column))] : []
  })
  return [...named('number-marks', numbers), ...named('day-month', days)]
}

function named(name: string, queries: readonly string[]): NamedStatement[] {
  const size = Math.ceil(queries.length / MAX_QUERIES)
  return Array.from({ length: size === 0 ? 0 : Math.ceil(queries.length / size) }, (_, index) => ({
    name: `${name}-${index}`,
    sql: queries.slice(index * size, (index + 1) * size).join(' union all '),
    as: 'rows',
  }))
}

const Answers = z.record(z.string(), z.object({ rows: z.array(z.unknown()) }))

/** Returns the decisions from the results of `evidenceStatements`. Throws a ZodError if the results are not theirs. */
export function readDecisions(definition: DatasetDefinition, answers: unknown): Decided[] {
  const found = Object.entries(Answers.parse(answers))
  const rowsOf = (name: string) =>
    found.flatMap(([statement, { rows }]) => (statement.startsWith(name) ? rows : []))
  const numbers = z.array(NumberEvidence).parse(rowsOf('number-marks'))
  const days = new Map(
    z
      .array(DayMonthEvidence)
      .parse(rowsOf('day-month'))
      .map((row) => [row.column, row]),
  )
  return fileColumns(definition).flatMap((column): Decided[] => {
    const marks = numbers.filter((row) => row.column === column.name)
    const dates = days.get(column.name)
    const asked = { marks: numberQuestion(column), dates: dayMonthQuestion(column) }
    if (asked.marks) return withMarkWarning(decideMark(asked.marks, marks))
    if (dates && asked.dates) return [decideDayMonth(asked.dates, dates) ?? []].flat()
    return []
  })
}

function withMarkWarning(decided: Decided | undefined): Decided[] {
  if (!decided) return []
  const warning = markWarning(decided)
  return [{ ...decided, ...(warning === undefined ? {} : { warning }) }]
}

/** Returns the definition with every decision applied: of alternative marks and formats it keeps those of the file. */
export function decidedDefinition(
  definition: DatasetDefinition,
  decisions: readonly ColumnDecision[],
): DatasetDefinition {
  const byColumn = new Map(decisions.map((decision) => [decision.column, decision]))
  const columns = definition.columns.map((column) => {
    const decision = byColumn.get(column.name)
    return decision ? decidedColumn(column, decision) : column
  })
  return { ...definition, columns }
}

function decidedColumn(column: Column, { reading }: ColumnDecision): Column {
  const mark = reading === 'point' ? 'point' : 'comma'
  switch (column.type) {
    case 'decimal':
      return { ...column, decimalMark: mark, ...keptThousands(column.thousandsMarks, mark) }
    case 'integer':
      return {
        ...column,
        ...(column.zeroFraction ? { zeroFraction: mark } : {}),
        ...keptThousands(column.thousandsMarks, mark),
      }
    case 'date':
      return { ...column, formats: column.formats.filter(isOf(reading)) }
    case 'timestamp':
      return { ...column, formats: column.formats.filter(isOf(reading)) }
    default:
      return column
  }
}

function keptThousands(marks: Parameters<typeof thousandsBeside>[0], mark: 'point' | 'comma') {
  return marks ? { thousandsMarks: thousandsBeside(marks, mark) } : {}
}

function isOf(reading: ColumnDecision['reading']) {
  return (format: Parameters<typeof dayMonthOrder>[0]) => [undefined, reading].includes(dayMonthOrder(format))
}

/** Returns, per decided column, the sentence that messages add about its decision. */
export function decidedSentences(decisions: readonly Decided[]): ReadonlyMap<string, string> {
  return new Map(
    decisions.flatMap((decided): [string, string][] => {
      const sentence = decidedSentence(decided)
      return sentence === undefined ? [] : [[decided.column, sentence]]
    }),
  )
}

const READINGS = {
  point: 'decimals have a point in this file',
  comma: 'decimals have a comma in this file',
  day_first: 'the day comes before the month in this file',
  month_first: 'the month comes before the day in this file',
}

function decidedSentence({
  about,
  reading,
  by,
  examples,
  ambiguous,
  contradicting,
}: Decided): string | undefined {
  if (by === 'assumed' && about === 'decimal_mark' && ambiguous === 0)
    return 'no cell of this file shows whether the mark separates decimals or thousands'
  if (by === 'declared' || !examples.agreeing || (about === 'day_month' && contradicting === 0))
    return undefined
  return `${READINGS[reading]}, as in ${shownCell(examples.agreeing)}`
}

/** Returns the warnings about columns whose reading had to be assumed because no cell decides it. */
export function decisionWarnings(decisions: readonly Decided[]): ImportWarning[] {
  return decisions.flatMap(({ about, warning, column, ambiguous }) =>
    warning === undefined
      ? []
      : [
          importWarning(about === 'day_month' ? 'ambiguous_day_month' : 'ambiguous_decimal_mark', warning, {
            column,
            count: ambiguous,
          }),
        ],
  )
}

/** Returns the failure of a file whose cells contradict each other or the dataset; undefined if they do not. */
export function contradictionFailure(decisions: readonly Decided[]): JobFailure | undefined {
  const found = decisions.flatMap(({ column, contradiction }) =>
    contradiction === undefined ? [] : [`Column "${column}" ${contradiction}.`],
  )
  if (found.length === 0) return undefined
  return {
    code: 'file_contradicts_itself',
    detail: `${found.join(' ')} Nothing was changed. Use one format in each column, or change the definition of the dataset. Then send the file again.`,
  }
}

/** Returns the decisions in the form that is stored and shown. */
export function storedDecisions(decisions: readonly Decided[]): ColumnDecision[] {
  return decisions.map(({ column, about, reading, by, agreeing, contradicting, ambiguous }) =>
    ColumnDecision.parse({ column, about, reading, by, agreeing, contradicting, ambiguous }),
  )
}
