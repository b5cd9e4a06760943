import { join } from 'node:path'
import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { DayRange } from '@aduana/contracts/dates'
import { lit, quoteIdentifier } from './literals.ts'
import { type MemberFile, memberCodes } from './members.ts'
import type { Cell, Check } from './rules/checks.ts'
import { compileRecordRules, dayOf, type ImportRules, valuesQuery } from './rules/record.ts'
import type { NamedStatement } from './statement.ts'
import { loserStatements, roundMarks, uniqueRounds } from './uniqueness.ts'

/** One validation: a parsed file, what it brought, and what this import may hold. Paths are absolute. */
export interface ValidationInput {
  /** Parquet with `_rec, _line, _off, _len` and a text column per column that the file brought. */
  parsed: string
  /** The names of those columns. */
  columns: readonly string[]
  /** The texts may hold 0x1E and 0x1D in place of LF and CR. */
  embedded: boolean
  /** Declared window: records of other days are rejects. */
  window?: DayRange
  /** Companies and warehouses that the import may touch; an absent list allows all. */
  scope?: { companies?: readonly string[]; warehouses?: readonly string[] }
  /** Known codes of every column with `onMissing: 'quarantine'`. */
  members?: readonly MemberFile[]
  /** Folder that takes the results; it exists and nothing else writes there. */
  folder: string
}

/** Statements to run in order in one fresh database (an engine `query` task), and the files that they leave. */
export interface CompiledValidation {
  /** `readValidation` takes the rows of those that answer with rows. */
  statements: NamedStatement[]
  /** clean: `_rec, _line`, typed columns. bad: `_rec, _line, _off, _len, reasons` (JSON). duplicates: …, `winner`. */
  outputs: { clean: string; bad: string; duplicates: string }
}

/**
 * Compiles a definition into the statements that part the records of a file into clean, bad and duplicate ones.
 * Every record ends in exactly one of the three. Throws when the definition is inconsistent.
 *
 * Two passes over the values: the first marks the good records and hashes their unique keys, the second writes the
 * clean file. Reasons are put together only for the records that failed.
 */
export function compileValidation(definition: DatasetDefinition, input: ValidationInput): CompiledValidation {
  const rules: ImportRules = {
    brought: input.columns,
    embedded: input.embedded,
    ...(input.window ? { window: input.window } : {}),
    ...(input.scope ? { scope: input.scope } : {}),
    members: membersByColumn(definition, input.members ?? []),
  }
  const { cells, good, checks } = compileRecordRules(definition, rules)
  const parsed = `read_parquet(${lit(input.parsed)})`
  const valuesWhere = (condition: string) =>
    valuesQuery(`(select * from ${parsed} p where ${condition})`, cells, rules)
  const outputs = {
    clean: join(input.folder, 'clean.parquet'),
    bad: join(input.folder, 'bad.parquet'),
    duplicates: join(input.folder, 'duplicates.parquet'),
  }
  const rounds = uniqueRounds(definition, cells)
  const marks = roundMarks(rounds, 'good').map((mark) => `, ${mark}`)
  const all = valuesQuery(parsed, cells, rules)
  const marked = `select *, ${good} as good from ${all}`
  const run = (name: string, sql: string): NamedStatement => ({ name, sql, as: 'none' })
  const statements = [
    rounds.length > 0
      ? run('mark', `create temp table marks as select _rec, good${marks.join('')} from (${marked})`)
      : run('mark', `create temp table marks as select _rec, good from (${marked}) where not good`),
    run('failed', 'create temp table failed as select _rec from marks where not good'),
    run('bad', copyTo(outputs.bad, badQuery(valuesWhere('_rec in (select _rec from failed)'), checks))),
    ...loserStatements(rounds, 'marks', valuesWhere).map((sql, index) => run(`losers-${index}`, sql)),
    run('duplicates', copyTo(outputs.duplicates, 'select * from losers order by _rec')),
    run('forget-marks', 'drop table marks'),
    run('not-clean', 'insert into failed select _rec from losers'),
    run('clean', copyTo(outputs.clean, cleanQuery(valuesWhere(CLEAN), cells))),
    ...resultQueries(definition, outputs, parsed),
  ]
  return { statements, outputs }
}

const CLEAN = 'not exists (select 1 from failed where failed._rec = p._rec)'

function cleanQuery(values: string, cells: readonly Cell[]): string {
  const columns = cells.map(({ column, value }) => `${value} as ${quoteIdentifier(column.name)}`)
  return `select _rec, _line, ${columns.join(', ')} from ${values}`
}

/**
 * The failed records with all their reasons. A failed record without a reason would be a contradiction between the
 * two forms of a rule: it stops the validation.
 */
function badQuery(values: string, checks: readonly Check[]): string {
  const reasons = checks.map(
    ({ column, code, broken, message, value }) =>
      `case when ${broken} then struct_pack("column" := ${column === null ? 'NULL::VARCHAR' : lit(column)}, code := ${lit(code)}, message := ${message}, value := ${value}) end`,
  )
  const list = `list_filter([${reasons.join(', ')}], lambda reason: reason is not null)`
  const checked = `case when len(reasons) = 0 then error('record ' || _rec || ' failed without a reason') else to_json(reasons)::varchar end`
  return `select _rec, _line, _off, _len, ${checked} as reasons from (select _rec, _line, _off, _len, ${list} as reasons from ${values}) order by _rec`
}

/** The queries whose rows `readValidation` reads, counted from the files themselves. */
function resultQueries(
  definition: DatasetDefinition,
  outputs: CompiledValidation['outputs'],
  parsed: string,
): NamedStatement[] {
  const clean = `read_parquet(${lit(outputs.clean)})`
  const count = (source: string) => `(select count(*) from ${source})`
  const ask = (name: string, sql: string): NamedStatement => ({ name, sql, as: 'rows' })
  const bad = `read_parquet(${lit(outputs.bad)})`
  const totals = `select ${count(parsed)} as records, ${count(clean)} as good, ${count(bad)} as rejected, ${count(`read_parquet(${lit(outputs.duplicates)})`)} as duplicates`
  const window = definition.columns.find(({ name }) => name === definition.windowColumn)
  const { scope, replaceScope } = definition
  const part = replaceScope === undefined ? "''" : quoteIdentifier(replaceScope)
  const warehouse = scope?.warehouse ? quoteIdentifier(scope.warehouse) : 'NULL::VARCHAR'
  const day = window ? `${dayOf({ column: window, value: quoteIdentifier(window.name) })}::varchar` : ''
  const days = `select ${part} as scope, ${day} as day, count(*) as "rows" from ${clean} group by 1, 2 order by 1, 2`
  const company = scope ? quoteIdentifier(scope.company) : ''
  const present = `select distinct ${company} as company, ${warehouse} as warehouse from ${clean} order by 1, 2`
  return [
    ask('totals', totals),
    ...(window ? [ask('days', days)] : []),
    ...(scope ? [ask('scopes', present)] : []),
  ]
}

/** Row groups as DuckDB likes them; snappy costs the least time of the compressions. */
function copyTo(path: string, query: string): string {
  return `copy (${query}) to ${lit(path)} (format parquet, compression snappy)`
}

function membersByColumn(
  definition: DatasetDefinition,
  files: readonly MemberFile[],
): ReadonlyMap<string, string> {
  const strict = definition.columns.filter(
    (column) => column.type === 'text' && column.dimension?.onMissing === 'quarantine',
  )
  return new Map(
    strict.map(({ name }) => {
      const file = files.find(({ column }) => column === name)
      if (!file) throw new Error(`column "${name}" needs the list of its known codes`)
      return [name, memberCodes(file)]
    }),
  )
}
