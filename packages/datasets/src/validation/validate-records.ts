import { join } from 'node:path'
import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { DayRange } from '@aduana/contracts/dates'
import { byteLimits } from './byte-limits.ts'
import type { CatalogueTable } from './catalogue.ts'
import { conflictExample, conflictReasons, conflictsQuery, differenceStatements } from './conflicts.ts'
import { decidedDefinition, decidedSentences } from './decisions/column-decisions.ts'
import type { Decided } from './decisions/decided.ts'
import { lit, quoteIdentifier } from './literals.ts'
import { type MemberFile, memberCodes } from './members.ts'
import { digestQuery } from './row-digest.ts'
import { rowSizeOf } from './row-size.ts'
import type { Cell, Check } from './rules/checks.ts'
import {
  compileRecordRules,
  dayOf,
  END_IS_EXCLUSIVE,
  type ImportRules,
  type TimestampCell,
  timestampsOf,
  valuesQuery,
} from './rules/record.ts'
import { localTimeSql, mayRepeat, ZONE_TABLE, zoneTable } from './rules/zone-sql.ts'
import type { NamedStatement } from './statement.ts'
import {
  ANY_CONFLICT,
  ANY_LOST,
  CONFLICTS,
  LOSERS,
  uniquenessStatements,
  uniqueRounds,
} from './uniqueness.ts'
import type { Zones } from './zones.ts'

/** One validation: a parsed file, what it brought, and what this import may hold. Paths are absolute. */
export interface ValidationInput {
  /** Parquet with `_rec, _line, _off, _len` and a text column per column that the file brought. */
  parsed: string
  /** The names of those columns. */
  columns: readonly string[]
  /** The texts may hold 0x1E and 0x1D in place of LF and CR. */
  embedded: boolean
  /**
   * What else was rejected, the share of all records that may be, and how many records are in `bad` when there are more:
   * the file fails then. All that failed unless said.
   */
  rejects?: { structural: number; share: number; keptOfFailed: number }
  /** Declared window: records of other days are rejects. */
  window?: DayRange
  /** Companies and warehouses that the import may touch; an absent list allows all. */
  scope?: { companies?: readonly string[]; warehouses?: readonly string[] }
  /** What the cells of the file decided about its columns: the answers to `evidenceStatements`. */
  decisions?: readonly Decided[]
  /** Known codes of every column with `onMissing: 'quarantine'`. */
  members?: readonly MemberFile[]
  /** The definition's table and those of its dimensions: what they have no room for is a reject. */
  catalogue?: readonly CatalogueTable[]
  /** The rules of the time zones of the definition. */
  zones: Zones
  /** Folder that takes the results; it exists and nothing else writes there. */
  folder: string
}

/** Statements to run in order in one fresh database (an engine `query` task), and the files that they leave. */
export interface CompiledValidation {
  /** `readValidation` takes the rows of those that answer with rows. */
  statements: NamedStatement[]
  /**
   * bad: `_rec, _line, _off, _len, reasons` (JSON), cut to the first when the file fails for its rejects. duplicates: `_rec, _line, _off, _len, winner`.
   * conflicts: as bad, and beside each conflicting record the one that was kept. Each is there only if it has rows. The
   * clean rows (`_rec, _line`, typed columns) are in `good`, with `_notes`, when every good record is unique, else in
   * `unique`: see `readValidation`.
   */
  outputs: { good: string; unique: string; bad: string; duplicates: string; conflicts: string }
}

const ANY_FAILED = 'select exists (select 1 from failed)'

/**
 * Compiles a definition into the statements that part the records of a file into clean, bad, duplicate and conflicting
 * ones. Every record ends in exactly one of the four. Throws when the definition is inconsistent.
 *
 * One pass over the values writes the good rows; what is missing there has failed. Reasons are put together only for
 * the records that failed, and the good rows are written anew only when some of them agree in what must be unique:
 * planning those queries alone would take a third of the time that a small file without faults needs.
 */
export function compileValidation(declared: DatasetDefinition, input: ValidationInput): CompiledValidation {
  const { decisions = [] } = input
  const definition = decidedDefinition(declared, decisions)
  const rules: ImportRules = {
    brought: input.columns,
    embedded: input.embedded,
    decided: decidedSentences(decisions),
    ...(input.window ? { window: input.window } : {}),
    ...(input.scope ? { scope: input.scope } : {}),
    members: membersByColumn(definition, input.members ?? []),
    byteLimits: byteLimits(definition, input.catalogue ?? []),
    rowSize: rowSizeOf(definition, input.catalogue ?? []),
    zones: input.zones,
  }
  const { cells, good, checks } = compileRecordRules(definition, rules)
  const file = (name: string) => join(input.folder, `${name}.parquet`)
  const outputs = {
    good: file('good'),
    unique: file('unique'),
    bad: file('bad'),
    duplicates: file('duplicates'),
    conflicts: file('conflicts'),
  }
  const parsed = `read_parquet(${lit(input.parsed)})`
  const goodRows = `read_parquet(${lit(outputs.good)})`
  const values = valuesQuery(parsed, cells, rules)
  const reported = valuesQuery(
    `(select * from ${parsed} where _rec in (select _rec from reported))`,
    cells,
    rules,
  )
  const tooMany = input.rejects ? tooManyFailed(parsed, input.rejects) : 'false'
  const rounds = uniqueRounds(definition)
  const names = cells.map(({ column }) => column.name)
  const noneWins = rounds.some(({ keeps }) => keeps === 'none')
  const rejected = noneWins
    ? ` or exists (select 1 from ${CONFLICTS} c where c.rejected and c._rec = p._rec)`
    : ''
  const clashes = noneWins ? conflictReasons(true) : undefined
  const run = (name: string, sql: string): NamedStatement => ({ name, sql, as: 'none' })
  const unsure = timestampsOf(cells).filter(({ column }) => mayRepeat(input.zones, column))
  const statements = [
    ...(timestampsOf(cells).length > 0 ? [zoneTable(input.zones)] : []),
    run('good', copyTo(outputs.good, goodQuery(values, { cells, good, unsure }, input.zones), cells.length)),
    ...uniquenessStatements(rounds, goodRows, names),
    ...differenceStatements(goodRows, names),
    run(
      'failed',
      `create temp table failed as select _rec from ${parsed} p where not exists (select 1 from ${goodRows} g where g._rec = p._rec)${rejected}`,
    ),
    {
      ...run('reported', 'create or replace temp table reported as select _rec from failed'),
      onlyIf: `${ANY_FAILED} and not (${tooMany})`,
    },
    {
      ...run(
        'first-reported',
        `create or replace temp table reported as select _rec from failed order by _rec limit ${input.rejects?.keptOfFailed ?? 0}`,
      ),
      onlyIf: `select ${tooMany}`,
    },
    ...badStatements(reported, checks, outputs.bad, clashes).map((statement) => ({
      ...statement,
      onlyIf: ANY_FAILED,
    })),
    ...[
      run(
        'duplicates',
        copyTo(
          outputs.duplicates,
          `select p._rec, p._line, p._off, p._len, l.winner from ${parsed} p join ${LOSERS} l on l._rec = p._rec where not exists (select 1 from ${CONFLICTS} c where c._rec = p._rec) order by 1`,
        ),
      ),
      run(
        'unique',
        copyTo(
          outputs.unique,
          `select g.* exclude (_notes) from ${goodRows} g where not exists (select 1 from ${LOSERS} l where l._rec = g._rec)`,
          cells.length,
        ),
      ),
    ].map((statement) => ({ ...statement, onlyIf: ANY_LOST })),
    {
      ...run('conflicts-file', copyTo(outputs.conflicts, conflictsQuery(parsed, rounds.length))),
      onlyIf: ANY_CONFLICT,
    },
    ...resultQueries(definition, outputs, { parsed, columns: names, unsure, zones: input.zones }),
    ...(input.window ? [{ ...outsideWindow(outputs.bad), onlyIf: ANY_FAILED }] : []),
  ]
  return { statements, outputs }
}

/**
 * The good rows. The join is a barrier: DuckDB moves a plain `where` below the computed values and then computes
 * them twice, which costs half as much time again.
 */
function goodQuery(
  values: string,
  { cells, good, unsure }: { cells: readonly Cell[]; good: string; unsure: readonly TimestampCell[] },
  zones: Zones,
): string {
  const columns = [
    ...cells.map(({ column, value }) => `${value} as ${quoteIdentifier(column.name)}`),
    ...unsure.map(
      ({ column, local, position }) =>
        `${localTimeSql(zones, column, local, position).twice} as ${twice(local)}`,
    ),
  ]
  return `select _rec, _line, ${columns.join(', ')}, _notes from (select *, ${good} as good from ${values}) semi join (select unnest([true]) as yes) on good = yes`
}

/** The column of the clean rows that says whether a local time exists twice. No column of a definition begins with `_`. */
function twice(local: string): string {
  return `_twice_${local}`
}

/** More reasons than this are looked for in several passes: each takes memory for every record that is looked at. */
const MOST_CHECKS = 600

/**
 * Statements that write the failed records with all their reasons. A failed record without a reason would be a
 * contradiction between the two forms of a rule: it stops the validation.
 */
function badStatements(
  values: string,
  checks: readonly Check[],
  output: string,
  clashes: string | undefined,
): NamedStatement[] {
  const passes = Array.from({ length: Math.max(1, Math.ceil(checks.length / MOST_CHECKS)) }, (_, pass) =>
    checks.slice(pass * MOST_CHECKS, (pass + 1) * MOST_CHECKS),
  )
  const places = '_rec, _line, _off, _len'
  const first = `select ${places}, ${reasonsOf(passes[0] ?? [])} as reasons from ${values}`
  const all = (from: string) =>
    clashes === undefined
      ? from
      : `select ${places}, list_concat(f.reasons, x.reasons) as reasons from (${from}) f left join (${clashes}) x using (_rec)`
  const bad = (from: string) =>
    `select ${places}, case when len(reasons) = 0 then error('record ' || _rec || ' failed without a reason') else to_json(reasons)::varchar end as reasons from (${all(from)}) order by _rec`
  const run = (name: string, sql: string): NamedStatement => ({ name, sql, as: 'none' })
  if (passes.length === 1) return [run('bad', copyTo(output, bad(first)))]
  const more = passes.slice(1).map((its, index) => ({ its, name: `reasons_${index + 1}` }))
  const joined = `select ${places}, list_concat(f.reasons${more.map(({ name }) => `, ${name}.reasons`).join('')}) as reasons from reasons_0 f${more.map(({ name }) => ` join ${name} using (_rec)`).join('')}`
  return [
    run('reasons-0', `create temp table reasons_0 as ${first}`),
    ...more.map(({ its, name }) =>
      run(name, `create temp table ${name} as select _rec, ${reasonsOf(its)} as reasons from ${values}`),
    ),
    run('bad', copyTo(output, bad(joined))),
  ]
}

function reasonsOf(checks: readonly Check[]): string {
  const reasons = checks.map(
    ({ column, code, broken, message, value }) =>
      `case when ${broken} then struct_pack("column" := ${column === null ? 'NULL::VARCHAR' : lit(column)}, code := ${lit(code)}, message := ${message}, value := ${value}) end`,
  )
  return `list_filter([${reasons.join(', ')}], lambda reason: reason is not null)`
}

/** SQL that is true when the file fails for its rejects, as `failsForRejects` says, and more failed than are kept then. */
function tooManyFailed(parsed: string, rejects: NonNullable<ValidationInput['rejects']>): string {
  const { structural, share, keptOfFailed } = rejects
  const all = `(select count(*) from ${parsed})`
  const beyond = `(count(*) + ${structural}) / (${all} + ${structural})::double > ${share}::double`
  return `(select count(*) > ${keptOfFailed} and (${beyond} or count(*) = ${all}) from failed)`
}

/** The queries whose rows `readValidation` reads, counted from the files themselves. */
function resultQueries(
  definition: DatasetDefinition,
  outputs: CompiledValidation['outputs'],
  {
    parsed,
    columns,
    unsure,
    zones,
  }: { parsed: string; columns: readonly string[]; unsure: readonly TimestampCell[]; zones: Zones },
): NamedStatement[] {
  const rows = (path: string) => `read_parquet(${lit(path)})`
  const clean = `(select * from ${rows(outputs.good)} g where not exists (select 1 from ${LOSERS} l where l._rec = g._rec))`
  const ask = (name: string, sql: string): NamedStatement => ({ name, sql, as: 'rows' })
  const count = (name: string, source: string) => ask(name, `select count(*) as "rows" from ${source}`)
  const window = definition.columns.find(({ name }) => name === definition.windowColumn)
  const { scope, replaceScope } = definition
  const part = replaceScope === undefined ? "''" : quoteIdentifier(replaceScope)
  const warehouse = scope?.warehouse ? quoteIdentifier(scope.warehouse) : 'NULL::VARCHAR'
  const day = window
    ? `${dayOf({ column: window, value: quoteIdentifier(window.name) }, zones)}::varchar`
    : ''
  const from = window?.type === 'timestamp' ? `${clean}, ${ZONE_TABLE}` : clean
  const days = `select ${part} as scope, ${day} as day, count(*) as "rows", min(_line) as line from ${from} group by 1, 2 order by 1, 2`
  const repeated = unsure.map(
    ({ column, local }) =>
      `select ${lit(column.name)} as "column", count(*) as "rows", min(_line) as line from ${rows(outputs.good)} where ${twice(local)}`,
  )
  const company = scope ? quoteIdentifier(scope.company) : ''
  const present = `select distinct ${company} as company, ${warehouse} as warehouse from ${clean} order by 1, 2`
  return [
    count('records', parsed),
    count('good', rows(outputs.good)),
    ask(
      'notes',
      `select note, count(*) as "cells" from (select unnest(_notes) as note from ${rows(outputs.good)}) group by 1 order by 1`,
    ),
    { ...count('rejected', 'failed'), onlyIf: ANY_FAILED },
    { ...count('duplicates', rows(outputs.duplicates)), onlyIf: ANY_LOST },
    { ...count('kept', rows(outputs.unique)), onlyIf: ANY_LOST },
    { ...ask('conflicts', conflictExample(parsed)), onlyIf: ANY_CONFLICT },
    ...(definition.loadMode === 'append' ? [ask('digest', digestQuery(columns, clean))] : []),
    ...(window ? [ask('days', days)] : []),
    ...(repeated.length > 0 ? [ask('repeated', repeated.join(' union all '))] : []),
    ...(scope ? [ask('scopes', present)] : []),
  ]
}

/** How many of the reported records are outside of the declared window, and how many of them are of its last day. */
function outsideWindow(bad: string): NamedStatement {
  const reasons = `select unnest(from_json(reasons, '["json"]')) as reason from read_parquet(${lit(bad)})`
  const onEnd = `starts_with(reason ->> 'message', ${lit(END_IS_EXCLUSIVE)})`
  return {
    name: 'outside-window',
    sql: `select count(*) as "rows", count(*) filter (where ${onEnd}) as "onEnd" from (${reasons}) where reason ->> 'code' = 'outside_window'`,
    as: 'rows',
  }
}

/** Snappy costs the least time of the compressions. */
function copyTo(path: string, query: string, columns = 0): string {
  const groups =
    columns > WIDE
      ? `, row_group_size ${ROWS_OF_WIDE}, string_dictionary_page_size_limit ${Math.floor(TEXTS_OF_WIDE / columns)}`
      : ''
  return `copy (${query}) to ${lit(path)} (format parquet, compression snappy${groups})`
}

/**
 * A row group is put together in memory, and room for the texts of a dictionary is taken beforehand for each column: of
 * hundreds of columns they have fewer rows and bytes than DuckDB likes.
 */
const WIDE = 80
const ROWS_OF_WIDE = 4096
const TEXTS_OF_WIDE = 80_000_000

function membersByColumn(
  definition: DatasetDefinition,
  files: readonly MemberFile[],
): ReadonlyMap<string, string> {
  const strict = definition.columns.filter(
    (column) => column.type === 'text' && column.dimension?.onMissing === 'quarantine' && !column.managed,
  )
  return new Map(
    strict.map(({ name }) => {
      const file = files.find(({ column }) => column === name)
      if (!file) throw new Error(`column "${name}" needs the list of its known codes`)
      return [name, memberCodes(file)]
    }),
  )
}
