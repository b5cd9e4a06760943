import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { DayRange } from '@aduana/contracts/dates'
import { lit, plainNumber, quoteIdentifier } from './literals.ts'
import { type MemberFile, membersQuery } from './members.ts'
import type { NamedStatement } from './statement.ts'
import { type TargetColumn, targetColumns } from './target.ts'

/** One load: the clean file, the ids of its codes, and the values that the load adds to each row. Paths are absolute. */
export interface LoadFileInput {
  /** `clean.parquet` of the validation. */
  clean: string
  /** Members of every dimension column. They include each code of the clean file. */
  dimensions: readonly MemberFile[]
  /** Number of the import, from 1 to 2,147,483,647. */
  importNo: number
  /** Id of the job, for the batch column. */
  jobId: string
  /** The file to write. */
  output: string
  /** The part of the rows to write; by default all. */
  slice?: Slice
}

/** A part of the rows of a clean file: a range of records (inclusive), or of days of the window column. */
export interface Slice {
  records?: { from: number; to: number }
  days?: DayRange
}

/** Statements that write the COPY file, and the columns of the target in its order. `copyIn` loads the file. */
export interface CompiledLoadFile {
  statements: NamedStatement[]
  columns: string[]
}

/**
 * Returns the statements that write the file for PostgreSQL's COPY, with `id = import_no << 32 | record`. Rows are in the
 * order that the definition declares, otherwise in that of the file. A statement fails if a code has no member, so that no
 * row is lost.
 */
export function compileLoadFile(definition: DatasetDefinition, input: LoadFileInput): CompiledLoadFile {
  if (!Number.isInteger(input.importNo) || input.importNo < 1 || input.importNo > 2_147_483_647)
    throw new Error(`${input.importNo} is not the number of an import`)
  const columns = targetColumns(definition)
  const members = new Map(
    columns.flatMap(({ role, source }, index): [string, { alias: string; query: string }][] =>
      role === 'dimension'
        ? [[source.name, { alias: `m${index}`, query: membersQuery(fileOf(source.name, input.dimensions)) }]]
        : [],
    ),
  )
  const joins = [...members].map(
    ([name, { alias, query }]) => `left join ${query} ${alias} on ${alias}.code = p.${quoteIdentifier(name)}`,
  )
  const hash = rowHash(columns)
  const values = columns.map(
    (column) => `${valueSql(column, input, hash, members)} as ${quoteIdentifier(column.name)}`,
  )
  const order = definition.sortBy.map((name) => columns.findIndex(({ source }) => source?.name === name) + 1)
  const sorting = order.length > 0 ? ` order by ${[...order, 1].join(', ')}` : ''
  const query = `select ${values.join(', ')} from read_parquet(${lit(input.clean)}) p ${joins.join(' ')}${sliceCondition(definition, input.slice)}${sorting}`
  return {
    statements: [
      {
        name: 'load-file',
        sql: `copy (${query}) to ${lit(input.output)} (format csv, header false, delimiter ',', quote '"', escape '"', nullstr '')`,
        as: 'none',
      },
    ],
    columns: columns.map(({ name }) => name),
  }
}

function sliceCondition(definition: DatasetDefinition, slice: Slice = {}): string {
  const { records, days } = slice
  const window = definition.windowColumn
  if (days && window === undefined) throw new Error(`"${definition.code}" has no days to slice by`)
  const conditions = [
    ...(records ? [`p._rec between ${plainNumber(records.from)} and ${plainNumber(records.to)}`] : []),
    ...(days && window !== undefined
      ? [
          `p.${quoteIdentifier(window)} >= ${lit(days.from)}::date and p.${quoteIdentifier(window)} < ${lit(days.to)}::date`,
        ]
      : []),
  ]
  return conditions.length > 0 ? ` where ${conditions.join(' and ')}` : ''
}

function valueSql(
  column: TargetColumn,
  input: LoadFileInput,
  hash: string,
  members: ReadonlyMap<string, { alias: string }>,
): string {
  switch (column.role) {
    case 'id':
      return `(${input.importNo}::bigint << 32) | p._rec`
    case 'importNo':
      return String(input.importNo)
    case 'record':
      return 'p._rec'
    case 'rowHash':
      return hash
    case 'batch':
      return lit(input.jobId)
    case 'value':
      return `p.${quoteIdentifier(column.source.name)}`
    case 'dimension': {
      const code = `p.${quoteIdentifier(column.source.name)}`
      const id = `${members.get(column.source.name)?.alias}.id`
      return `case when ${code} is not null and ${id} is null then error(${lit(`no member of ${column.name} has the code `)} || ${code}) else ${id} end`
    }
  }
}

/** Returns SQL of an MD5 of all values as text. No text contains the separator or the mark for NULL: parsing rejects both. */
export function rowHash(columns: readonly TargetColumn[]): string {
  const texts = columns.flatMap(({ source }) =>
    source ? [`coalesce(p.${quoteIdentifier(source.name)}::varchar, chr(30))`] : [],
  )
  return `md5(concat_ws(chr(31), ${texts.join(', ')}))`
}

function fileOf(column: string, files: readonly MemberFile[]): MemberFile {
  const file = files.find((entry) => entry.column === column)
  if (!file) throw new Error(`column "${column}" needs the ids of its codes`)
  return file
}
