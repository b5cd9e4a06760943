import { join } from 'node:path'
import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { DayRange } from '@aduana/contracts/dates'
import type { CatalogueTable } from '../catalogue.ts'
import { decidedDefinition, decidedSentences } from '../decisions/column-decisions.ts'
import type { Decided } from '../decisions/decided.ts'
import { lit, quoteIdentifier } from '../literals.ts'
import { type MemberFile, memberCodes } from '../members.ts'
import { digestQuery } from '../row-digest.ts'
import { rowSizeOf } from '../row-size.ts'
import type { Cell } from '../rules/checks.ts'
import {
  compileRecordRules,
  dayOf,
  type ImportRules,
  type TimestampCell,
  timestampsOf,
  valuesQuery,
} from '../rules/record.ts'
import { localTimeSql, mayRepeat, ZONE_TABLE, zoneTable } from '../rules/zone-sql.ts'
import type { NamedStatement } from '../statement.ts'
import { textLimits } from '../text-limits.ts'
import type { Zones } from '../zones.ts'
import {
  conflictCounts,
  conflictExample,
  conflictReasons,
  conflictsQuery,
  differenceStatements,
} from './conflicts.ts'
import { copyTo } from './parquet.ts'
import { outsideWindow, rejectsStatements } from './rejects.ts'
import type { ParsedFile, Survey } from './survey.ts'
import {
  CONFLICTS,
  CONFLICTS_TABLE,
  conflictsStatements,
  LOSERS,
  losersStatements,
  uniqueRounds,
} from './uniqueness.ts'

/** One validation: a parsed file, its columns, and the limits of the import. Paths are absolute. */
export interface ValidationInput extends ParsedFile {
  /** The declared window. Records of other days are rejected. */
  window?: DayRange
  /** Companies and warehouses that the import may touch; an absent list allows all. */
  scope?: { companies?: readonly string[]; warehouses?: readonly string[] }
  /** The result of the survey. Without it, the plan includes every step. */
  survey?: Survey
  /** The decisions about the columns of the file. */
  decisions?: readonly Decided[]
  /** Known codes of every column with `onMissing: 'quarantine'`. */
  members?: readonly MemberFile[]
  /** The definition's table and those of its dimensions. Records that do not fit into them are rejected. */
  catalogue?: readonly CatalogueTable[]
  /** The rules of the time zones of the definition. */
  zones: Zones
  /** Folder for the results. It must exist and not be used by others. */
  folder: string
}

/**
 * The files that a validation writes. bad: `_rec, _line, _off, _len, reasons` (JSON). duplicates: `_rec, _line, _off,
 * _len, winner`. conflicts: as bad, with the record that was kept next to each conflicting one. Files without rows are not
 * written. The clean rows (`_rec, _line`, typed columns) are in `good`, with `_notes` if there may be any, if every good
 * record is unique; otherwise in `unique`.
 */
export interface ValidationFiles {
  good: string
  unique: string
  bad: string
  duplicates: string
  conflicts: string
}

/** The statements of a validation in the order in which they run. A part runs only if earlier counts require it. */
export interface ValidationPlan {
  files: ValidationFiles
  /** Writes the good rows, and counts them and all records. */
  good: NamedStatement[]
  /** For each rule of uniqueness: the losers, and, if there are any, the conflicts among them. */
  rounds: { losers: NamedStatement[]; conflicts: NamedStatement[] }[]
  /** Needed once any record has lost; counts the conflicts. */
  conflictCounts: NamedStatement
  /** Writes the file of conflicts, and shows the first. */
  conflicts(): NamedStatement[]
  /** Writes the failed records with their reasons, including conflicting records if none of them wins. */
  rejects(which: { conflicting: boolean; most?: number | undefined }): NamedStatement[]
  /** Writes the files of duplicates and of unique rows, and counts the duplicates. */
  unique(): NamedStatement[]
  /** The queries about the clean rows. */
  results(clean: string): NamedStatement[]
}

/**
 * Returns the statements that divide the records of a file into clean, bad, duplicate and conflicting ones. Every record
 * ends in exactly one of the four. Throws if the definition is inconsistent.
 *
 * One pass over the values writes the good rows; all other records have failed. Reasons are computed only for failed
 * records, and the good rows are written again only if some agree in what must be unique: planning those queries alone would
 * take a third of the time of a small file without faults.
 */
export function planValidation(declared: DatasetDefinition, input: ValidationInput): ValidationPlan {
  const { decisions = [], survey, zones } = input
  const definition = decidedDefinition(declared, decisions)
  const rules: ImportRules = {
    brought: input.columns,
    decided: decidedSentences(decisions),
    ...(survey ? { careful: survey.careful } : {}),
    ...(input.window ? { window: input.window } : {}),
    ...(input.scope ? { scope: input.scope } : {}),
    members: membersByColumn(definition, input.members ?? []),
    textLimits: textLimits(definition, input.catalogue ?? []),
    rowSize: rowSizeOf(definition, input.catalogue ?? []),
    zones,
  }
  const { cells, good, checks } = compileRecordRules(definition, rules)
  const files = filesIn(input.folder)
  const parsed = read(input.parsed)
  const goodRows = read(files.good)
  const rounds = uniqueRounds(definition)
  const names = cells.map(({ column }) => column.name)
  const unsure = timestampsOf(cells).filter(({ column }) => mayRepeat(zones, column))
  const noted = cells.some(({ careful }) => careful !== undefined)
  const valuesOf = (source: string) => valuesQuery(source, cells, rules)
  return {
    files,
    good: [
      ...(timestampsOf(cells).length > 0 ? [zoneTable(zones)] : []),
      run(
        'good',
        copyTo(files.good, goodQuery(valuesOf(parsed), { cells, good, unsure, noted }, zones), cells.length),
      ),
      ask(
        'counts',
        `select (select count(*) from ${parsed}) as "records", (select count(*) from ${goodRows}) as "good"`,
      ),
    ],
    rounds: rounds.map((round, index) => ({
      losers: losersStatements(round, index, goodRows),
      conflicts: conflictsStatements(round, index, goodRows, names),
    })),
    conflictCounts: ask('conflict-counts', conflictCounts()),
    conflicts: () => [
      ...differenceStatements(goodRows, names),
      run('conflicts-file', copyTo(files.conflicts, conflictsQuery(parsed, rounds.length))),
      ask('conflict', conflictExample(parsed)),
    ],
    rejects: ({ conflicting, most }) => [
      run('reported', reportedTable(parsed, goodRows, conflicting, most)),
      ...rejectsStatements(
        valuesOf(`(select * from ${parsed} where _rec in (select _rec from reported))`),
        checks,
        files.bad,
        conflicting ? conflictReasons(true) : undefined,
      ),
      ...(input.window ? [outsideWindow(files.bad)] : []),
    ],
    unique: () => [
      run(
        'duplicates',
        copyTo(
          files.duplicates,
          `select p._rec, p._line, p._off, p._len, l.winner from ${parsed} p join ${LOSERS} l on l._rec = p._rec where not exists (select 1 from ${CONFLICTS} c where c._rec = p._rec) order by 1`,
        ),
      ),
      run(
        'unique',
        copyTo(
          files.unique,
          `select g.*${noted ? ' exclude (_notes)' : ''} from ${goodRows} g where not exists (select 1 from ${LOSERS} l where l._rec = g._rec)`,
          cells.length,
        ),
      ),
      ask(
        'unique-counts',
        `select (select count(*) from ${read(files.duplicates)}) as "duplicates", (select count(*) from ${read(files.unique)}) as "kept"`,
      ),
    ],
    results: (clean) => resultQueries(definition, { clean, goodRows, columns: names, unsure, noted, zones }),
  }
}

/** Returns every statement that a validation may run, in an order in which all of them can run. */
export function allStatements(plan: ValidationPlan): NamedStatement[] {
  return [
    ...plan.good,
    ...(plan.rounds.length > 0 ? [CONFLICTS_TABLE] : []),
    ...plan.rounds.flatMap(({ losers, conflicts }) => [...losers, ...conflicts]),
    ...(plan.rounds.length > 0 ? [plan.conflictCounts, ...plan.conflicts(), ...plan.unique()] : []),
    ...plan.rejects({ conflicting: plan.rounds.length > 0, most: 1 }),
    ...plan.results(plan.files.good),
  ]
}

function filesIn(folder: string): ValidationFiles {
  const file = (name: string) => join(folder, `${name}.parquet`)
  return {
    good: file('good'),
    unique: file('unique'),
    bad: file('bad'),
    duplicates: file('duplicates'),
    conflicts: file('conflicts'),
  }
}

function read(path: string): string {
  return `read_parquet(${lit(path)})`
}

function run(name: string, sql: string): NamedStatement {
  return { name, sql, as: 'none' }
}

function ask(name: string, sql: string): NamedStatement {
  return { name, sql, as: 'rows' }
}

/** Returns a query for the failed records: those that are not good rows, and conflicting records of which none wins. */
function reportedTable(
  parsed: string,
  goodRows: string,
  conflicting: boolean,
  most: number | undefined,
): string {
  const clashes = conflicting
    ? ` or exists (select 1 from ${CONFLICTS} c where c.rejected and c._rec = p._rec)`
    : ''
  const failed = `select _rec from ${parsed} p where not exists (select 1 from ${goodRows} g where g._rec = p._rec)${clashes}`
  return `create or replace temp table reported as ${failed}${most === undefined ? '' : ` order by _rec limit ${most}`}`
}

/**
 * Returns a query for the good rows. The join is a barrier: DuckDB would move a plain `where` below the computed values and
 * compute them twice, which takes 50 % more time.
 */
function goodQuery(
  values: string,
  {
    cells,
    good,
    unsure,
    noted,
  }: { cells: readonly Cell[]; good: string; unsure: readonly TimestampCell[]; noted: boolean },
  zones: Zones,
): string {
  const columns = [
    ...cells.map(({ column, value }) => `${value} as ${quoteIdentifier(column.name)}`),
    ...unsure.map(
      ({ column, local, position }) =>
        `${localTimeSql(zones, column, local, position).twice} as ${twice(local)}`,
    ),
    ...(noted ? ['_notes'] : []),
  ]
  return `select _rec, _line, ${columns.join(', ')} from (select *, ${good} as good from ${values}) semi join (select unnest([true]) as yes) on good = yes`
}

/** The column of the clean rows that is true if a local time exists twice. Columns of definitions never begin with `_`. */
function twice(local: string): string {
  return `_twice_${local}`
}

function resultQueries(
  definition: DatasetDefinition,
  {
    clean: path,
    goodRows,
    columns,
    unsure,
    noted,
    zones,
  }: {
    clean: string
    goodRows: string
    columns: readonly string[]
    unsure: readonly TimestampCell[]
    noted: boolean
    zones: Zones
  },
): NamedStatement[] {
  const clean = read(path)
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
      `select ${lit(column.name)} as "column", count(*) as "rows", min(_line) as line from ${goodRows} where ${twice(local)}`,
  )
  const company = scope ? quoteIdentifier(scope.company) : ''
  const present = `select distinct ${company} as company, ${warehouse} as warehouse from ${clean} order by 1, 2`
  const notes = `select note, count(*) as "cells" from (select unnest(_notes) as note from ${goodRows}) group by 1 order by 1`
  return [
    ...(noted ? [ask('notes', notes)] : []),
    ...(definition.loadMode === 'append' ? [ask('digest', digestQuery(columns, clean))] : []),
    ...(window ? [ask('days', days)] : []),
    ...(repeated.length > 0 ? [ask('repeated', repeated.join(' union all '))] : []),
    ...(scope ? [ask('scopes', present)] : []),
  ]
}

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
