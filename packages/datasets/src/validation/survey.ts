import type { Column, DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { z } from 'zod'
import { dayMonthQuestion, mayBeOpen } from '../decisions/day-month.ts'
import { mayTell, numberQuestion } from '../decisions/number-marks.ts'
import { fileColumns } from '../header.ts'
import { lit, quoteIdentifier } from '../literals.ts'
import { needsCare, type Reading, readAlike, readingOf } from '../rules/text.ts'
import type { NamedStatement, RunStatements } from '../statement.ts'

/** A parsed file. */
export interface ParsedFile {
  /** Parquet with `_rec, _line, _off, _len` and a text column per column of the file. */
  parsed: string
  /** The names of those columns. */
  columns: readonly string[]
}

/**
 * The steps that a file needs besides the rules of its definition. Most files need few, and other steps are not planned:
 * for a small file, planning takes longer than anything else.
 */
export interface Survey {
  /** Columns with a cell that may need cleaning. */
  careful: ReadonlySet<string>
  /** Columns with a cell that is evidence for, or ambiguous about, how the numbers or dates of the column are read. */
  telling: ReadonlySet<string>
}

/**
 * Surveys all cells of a parsed file. First it checks whether any cell needs care, and only then in which columns, because
 * the second query takes as long as the first and few files need it.
 */
export async function surveyFile(
  run: RunStatements,
  definition: DatasetDefinition,
  file: ParsedFile,
): Promise<Survey> {
  const [first, second] = surveyStatements(definition, file)
  const [{ any, ...tells }] = Answer.parse((await run([first], { until: 0.08 })).survey?.rows)
  const [cares] = any ? Answer.parse((await run([second], { until: 0.1 })).care?.rows) : [{}]
  const careful = groupsOf(definition, file).filter((_, index) => cares[`g${index}`])
  const telling = tellingOf(definition, file).filter((_, index) => tells[`t${index}`])
  return {
    careful: new Set(careful.flat(2).map(({ column }) => column.name)),
    telling: new Set(telling.map(({ column }) => column.name)),
  }
}

const Answer = z.tuple([z.record(z.string(), z.boolean())])

/** Returns the statements of `surveyFile`. `exists` stops reading at the first match. */
export function surveyStatements(
  definition: DatasetDefinition,
  file: ParsedFile,
): [NamedStatement, NamedStatement] {
  const parsed = `read_parquet(${lit(file.parsed)})`
  const groups = groupsOf(definition, file).map((its) => its.map(careOf).join(' or '))
  const tells = tellingOf(definition, file).map(
    ({ tells: sql }, index) => `coalesce(bool_or(${sql}), false) as t${index}`,
  )
  const exists = (condition: string) => `exists (select 1 from ${parsed} where ${condition})`
  const any = `${exists(groups.join(' or '))} as "any"`
  const told = tells.length === 0 ? '' : `, * from (select ${tells.join(', ')} from ${parsed})`
  const each = groups.map((its, index) => `${exists(its)} as g${index}`)
  return [
    { name: 'survey', sql: `select ${any}${told}`, as: 'rows' },
    { name: 'care', sql: `select ${each.join(', ')}`, as: 'rows' },
  ]
}

type Group = ReturnType<typeof readAlike<{ column: Column; reading: Reading }>>[number]

/** Above this number, groups are combined in one query. */
const MAX_GROUPS = 8

function groupsOf(definition: DatasetDefinition, { columns }: ParsedFile): Group[][] {
  const groups = readAlike(
    fileColumns(definition)
      .filter(({ name }) => columns.includes(name))
      .map((column) => ({ column, reading: readingOf(definition, column) })),
  )
  const single = groups.slice(0, MAX_GROUPS - 1).map((group) => [group])
  const rest = groups.slice(MAX_GROUPS - 1)
  return rest.length === 0 ? single : [...single, rest]
}

function careOf(group: Group): string {
  const [{ reading }] = group
  return needsCare(
    reading,
    group.map(({ column }) => quoteIdentifier(column.name)),
  )
}

function tellingOf(definition: DatasetDefinition, { columns }: ParsedFile) {
  return fileColumns(definition).flatMap((column): { column: Column; tells: string }[] => {
    if (!columns.includes(column.name)) return []
    const cell = quoteIdentifier(column.name)
    const number = numberQuestion(column)
    if (number) return [{ column, tells: mayTell(number, cell) }]
    return dayMonthQuestion(column) ? [{ column, tells: mayBeOpen(cell) }] : []
  })
}
