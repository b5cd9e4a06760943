import type { Column, DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { type Day, type DayRange, nextDay } from '@aduana/contracts/dates'
import { type Coverage, coveredRows } from './coverage.ts'
import { dayInZone, instantsAround, instantsOfDays } from './days-of-zone.ts'
import { fileColumns } from './header.ts'
import { lit, literals, quoteIdentifier } from './literals.ts'

/** A column of the target that a load fills. */
export type TargetColumn =
  | { role: 'value' | 'dimension'; name: string; source: Column }
  | { role: 'id' | 'importNo' | 'record' | 'rowHash' | 'batch'; name: string; source: null }

/**
 * Returns the columns that a load fills, in the order of the COPY file: the row id, the definition's columns (surrogate ids
 * in place of codes), for an upsert the last writer and the hash of its values, and the batch column.
 */
export function targetColumns(definition: DatasetDefinition): TargetColumn[] {
  const own = fileColumns(definition).map((source): TargetColumn => {
    const dimension = source.type === 'text' ? source.dimension : undefined
    return dimension
      ? { role: 'dimension', name: dimension.idColumn, source }
      : { role: 'value', name: source.name, source }
  })
  const added = (role: 'id' | 'importNo' | 'record' | 'rowHash' | 'batch', name: string): TargetColumn => ({
    role,
    name,
    source: null,
  })
  const writer =
    definition.loadMode === 'upsert'
      ? [added('importNo', 'import_no'), added('record', 'record'), added('rowHash', 'row_hash')]
      : []
  const batch = definition.batchColumn === undefined ? [] : [added('batch', definition.batchColumn)]
  return [added('id', 'id'), ...own, ...writer, ...batch]
}

/** Returns the name of a column in the target: a dimension's id column for a code. */
export function targetName(definition: DatasetDefinition, name: string): string {
  const column = targetColumns(definition).find(({ source }) => source?.name === name)
  if (!column) throw new Error(`the definition "${definition.code}" loads no column "${name}"`)
  return column.name
}

/** Returns the target as `"schema"."name"`. */
export function targetTable({ table }: DatasetDefinition): string {
  return `${quoteIdentifier(table.schema)}.${quoteIdentifier(table.name)}`
}

/** Returns names as a quoted, comma-separated list. */
export function quotedList(names: readonly string[]): string {
  return names.map(quoteIdentifier).join(', ')
}

/** Options with which PostgreSQL reads and writes the CSV files of this package: NULL is empty, the empty text is `""`. */
export const COPY_OPTIONS = "format csv, null '', encoding 'UTF8'"

/** Returns `COPY … FROM STDIN` for a file of `compileLoadFile`, into the target or `table` (already quoted). */
export function copyIn(definition: DatasetDefinition, table = targetTable(definition)): string {
  const names = targetColumns(definition).map(({ name }) => name)
  return `copy ${table} (${quotedList(names)}) from stdin with (${COPY_OPTIONS})`
}

/** Rows of the target, by day, replace scope, and company and warehouse. */
export interface Selection {
  /** A range of days, single days, or every row. */
  days: DayRange | readonly Day[] | 'all'
  /** Value of the definition's `replaceScope` column; absent when the definition has none. */
  scope?: string
  /** Only rows of these companies and warehouses; by default of all. */
  coverage?: Coverage
}

/** Returns a SQL condition on the target for a selection. Throws if it lacks the replace scope of the definition, or names one that does not exist. */
export function selectionCondition(definition: DatasetDefinition, selection: Selection): string {
  if ((selection.scope === undefined) !== (definition.replaceScope === undefined))
    throw new Error(`a selection of "${definition.code}" must name its replace scope, and only if it has one`)
  const scope =
    definition.replaceScope === undefined || selection.scope === undefined
      ? []
      : [`${quoteIdentifier(targetName(definition, definition.replaceScope))} = ${lit(selection.scope)}`]
  const covered = selection.coverage && coveredRows(definition, selection.coverage)
  const conditions = [...dayConditions(definition, selection.days), ...scope, ...(covered ? [covered] : [])]
  return conditions.join(' and ') || 'true'
}

/**
 * Returns the columns `day`, `company` and `warehouse` (text) of rows of the target, as a list for SELECT or RETURNING.
 * Null where the definition lacks them or has ids in their place.
 */
export function places(definition: DatasetDefinition): string {
  const { scope } = definition
  const text = (name: string | undefined) => {
    const column = definition.columns.find((candidate) => candidate.name === name)
    if (!column || (column.type === 'text' && column.dimension)) return 'null::text'
    return `${quoteIdentifier(column.name)}::text`
  }
  const day = dayAndScope(definition)?.day ?? 'null'
  return `${day}::text as day, ${text(scope?.company)} as company, ${text(scope?.warehouse)} as warehouse`
}

/** Returns a `DELETE` of a selection. Its row count is the number of replaced rows. */
export function deleteRows(definition: DatasetDefinition, selection: Selection): string {
  return `delete from ${targetTable(definition)} where ${selectionCondition(definition, selection)}`
}

/** Returns a `DELETE` of a selection of a dataset with days. It returns a row `{scope, day, rows}` per day and scope that lost rows. */
export function deleteRowsByDay(definition: DatasetDefinition, selection: Selection): string {
  const place = dayAndScope(definition)
  if (!place) throw new Error(`"${definition.code}" has no window column`)
  return `with gone as (${deleteRows(definition, selection)} returning ${place.scope} as scope, ${place.day}::text as day) select scope, day, count(*) as rows from gone group by 1, 2`
}

/** Returns a SQL condition on the target for any of several selections. */
export function anyOf(definition: DatasetDefinition, selections: readonly Selection[]): string {
  const conditions = selections.map((selection) => `(${selectionCondition(definition, selection)})`)
  return conditions.length === 0 ? 'false' : conditions.join(' or ')
}

/** Returns a query for rows `{name}`: the columns of the target that can be written, in order, without generated ones. */
export function listColumns(definition: DatasetDefinition): string {
  return `select attname::text as name from pg_catalog.pg_attribute where attrelid = ${lit(targetTable(definition))}::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum`
}

/** Returns `COPY … TO STDOUT` of the rows of some selections, with a header: the before-image. `columns` are those of `listColumns`. */
export function copyOut(
  definition: DatasetDefinition,
  columns: readonly string[],
  selections: readonly Selection[],
): string {
  return `copy (select ${quotedList(columns)} from ${targetTable(definition)} where ${anyOf(definition, selections)}) to stdout with (${COPY_OPTIONS}, header true)`
}

/** Returns a query for one row `{found}`: whether the target holds any row of some selections. */
export function anyRows(definition: DatasetDefinition, selections: readonly Selection[]): string {
  return `select exists (select from ${targetTable(definition)} where ${anyOf(definition, selections)}) as found`
}

/**
 * Returns the place of a row of the target: its window column (quoted), and SQL of its day and its replace scope (`''`
 * without one). Undefined for a dataset without days.
 */
export function dayAndScope(
  definition: DatasetDefinition,
): { column: string; day: string; scope: string } | undefined {
  const window = definition.columns.find(({ name }) => name === definition.windowColumn)
  if (!window) return undefined
  const column = quoteIdentifier(window.name)
  const day = window.type === 'timestamp' ? dayInZone(column, window.timeZone) : column
  const scope =
    definition.replaceScope === undefined
      ? `''`
      : `${quoteIdentifier(targetName(definition, definition.replaceScope))}::text`
  return { column, day, scope }
}

/** Returns conditions on the target for days. Throws if the dataset has no window column. */
export function dayConditions(definition: DatasetDefinition, days: Selection['days']): string[] {
  if (days === 'all') return []
  const window = definition.columns.find(({ name }) => name === definition.windowColumn)
  if (!window) throw new Error(`"${definition.code}" has no window column`)
  const name = quoteIdentifier(window.name)
  if (window.type === 'timestamp') return instantConditions(name, window.timeZone, days)
  if ('from' in days) return [`${name} >= date ${lit(days.from)}`, `${name} < date ${lit(days.to)}`]
  return days.length === 0 ? ['false'] : [`${name} = any (array[${literals(days)}]::date[])`]
}

function instantConditions(column: string, timeZone: string, days: DayRange | readonly Day[]): string[] {
  if ('from' in days) return instantsOfDays(column, timeZone, days)
  const sorted = [...days].sort()
  const [first, last] = [sorted[0], sorted.at(-1)]
  if (first === undefined || last === undefined) return ['false']
  return [
    ...instantsAround(column, timeZone, { from: first, to: nextDay(last) }),
    `${dayInZone(column, timeZone)} = any (array[${literals(days)}]::date[])`,
  ]
}
