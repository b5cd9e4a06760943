import type { Column, DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Day, DayRange } from '@aduana/contracts/dates'
import { type Coverage, coveredRows } from './coverage.ts'
import { dayInZone } from './days-of-zone.ts'
import { fileColumns } from './header.ts'
import { lit, quoteIdentifier } from './literals.ts'
import type { NamedStatement } from './statement.ts'
import { COPY_OPTIONS, dayAndScope, dayConditions, selectionCondition, targetTable } from './target.ts'

/** Days of a replace scope whose rows a load changes. If `days` is null, all rows of the table. */
export interface TouchedDays {
  scope: string
  days: readonly Day[] | null
}

/**
 * Returns the columns whose sums are shown: those that measure something. A decimal with digits after the mark always does.
 * A whole number is a code, not a measure, if rows are identified, sorted or partitioned by it, or if it has two bounds of
 * which the lower is above 0, as a shift from 1 to 3.
 */
export function summedColumns(definition: DatasetDefinition): Column[] {
  const codes = identifyingColumns(definition)
  return fileColumns(definition).filter((column) => {
    if (column.type === 'decimal' && column.scale > 0) return true
    if (column.type !== 'integer' && column.type !== 'decimal') return false
    const { name, min, max } = column
    return !codes.has(name) && !(max !== undefined && min !== undefined && min > 0)
  })
}

function identifyingColumns(definition: DatasetDefinition): ReadonlySet<string | undefined> {
  const { unique, key, sortBy, versionColumn, replaceScope, scope } = definition
  return new Set([
    ...(unique?.columns ?? []),
    ...(key ?? []),
    ...sortBy,
    versionColumn,
    replaceScope,
    scope?.company,
    scope?.warehouse,
  ])
}

/** Returns the columns of the natural key. */
export function keyColumns(definition: DatasetDefinition): Column[] {
  return (definition.key ?? []).flatMap((name) => definition.columns.filter((column) => column.name === name))
}

/** Returns a SQL condition on the target for the rows that a load may change on its days: those that `coverage` includes. */
function touchedCondition(
  definition: DatasetDefinition,
  touched: readonly TouchedDays[],
  coverage: Coverage,
): string {
  const parts = touched.map(({ scope, days }) =>
    days === null
      ? (coveredRows(definition, coverage) ?? 'true')
      : `(${selectionCondition(definition, { days, coverage, ...(definition.replaceScope === undefined ? {} : { scope }) })})`,
  )
  return parts.length === 0 ? 'false' : parts.join(' or ')
}

/**
 * Returns a PostgreSQL query for rows `{scope, day, rows, sums}`: the present state of the touched days, of the rows that
 * `coverage` includes. `sums` are texts in the order of `summedColumns`.
 */
export function storedFigures(
  definition: DatasetDefinition,
  touched: readonly TouchedDays[],
  coverage: Coverage,
): string {
  const sums = summedColumns(definition).map(
    ({ name }) => `coalesce(sum(t.${quoteIdentifier(name)}), 0)::text`,
  )
  const list = sums.length === 0 ? `'{}'::text[]` : `array[${sums.join(', ')}]`
  return `select ${storedScope(definition)} as scope, ${storedDay(definition)} as day, count(*) as rows, ${list} as sums from (select * from ${targetTable(definition)} where ${touchedCondition(definition, touched, coverage)}) t ${dimensionJoins(definition)} group by 1, 2`
}

/**
 * Returns PostgreSQL's `COPY … TO STDOUT` of the touched rows that `coverage` includes, with codes in place of surrogate
 * ids, for `compareReplaced`. The first value of each row is 1; the last is its day if the window column is an instant.
 */
export function copyStored(
  definition: DatasetDefinition,
  touched: readonly TouchedDays[],
  coverage: Coverage,
): string {
  const values = ['1', ...fileColumns(definition).map(storedValue), ...storedDayOfInstant(definition)]
  return `copy (select ${values.join(', ')} from (select * from ${targetTable(definition)} where ${touchedCondition(definition, touched, coverage)}) t ${dimensionJoins(definition)}) to stdout with (${COPY_OPTIONS})`
}

/** Returns a PostgreSQL query for rows `{scope, day}`: the days of a range with rows that `coverage` does not include. */
export function uncoveredDays(definition: DatasetDefinition, range: DayRange, coverage: Coverage): string {
  const place = dayAndScope(definition)
  if (!place) throw new Error(`"${definition.code}" has no window column`)
  const covered = coveredRows(definition, coverage) ?? 'true'
  const conditions = [...dayConditions(definition, range), `not ${covered}`].join(' and ')
  return `select ${place.scope} as scope, ${place.day}::text as day from ${targetTable(definition)} where ${conditions} group by 1, 2`
}

/** The temporary table for the keys of an upsert. */
export const KEYS_TABLE = 'pg_temp."preview_keys"'

/** Returns PostgreSQL's DDL of the table of keys, which is dropped on commit, and the `COPY … FROM STDIN` into it. */
export function createKeys(definition: DatasetDefinition): { create: string; copyIn: string } {
  const names = keyColumns(definition).map(({ name }) => name)
  const values = keyColumns(definition).map(
    (column) => `${storedValue(column)} as ${quoteIdentifier(column.name)}`,
  )
  return {
    create: `create temp table "preview_keys" on commit drop as select ${values.join(', ')} from ${targetTable(definition)} t ${dimensionJoins(definition)} with no data`,
    copyIn: `copy ${KEYS_TABLE} (${names.map(quoteIdentifier).join(', ')}) from stdin with (${COPY_OPTIONS})`,
  }
}

/** Returns a DuckDB statement that writes the keys of a clean file for `createKeys`. Quoted, because `\.` alone would end the input. */
export function keysFile(definition: DatasetDefinition, clean: string, output: string): NamedStatement {
  const names = keyColumns(definition).map(({ name }) => quoteIdentifier(name))
  return {
    name: 'keys',
    sql: `copy (select ${names.join(', ')} from read_parquet(${lit(clean)})) to ${lit(output)} (format csv, header false, delimiter ',', quote '"', escape '"', nullstr '', force_quote *)`,
    as: 'none',
  }
}

/** Returns PostgreSQL's `COPY … TO STDOUT` of the rows with one of the keys and their hashes, for `compareUpserted`. The first value of each row is 1. */
export function copyStoredByKey(definition: DatasetDefinition): string {
  const values = [
    '1',
    ...fileColumns(definition).map(storedValue),
    't."row_hash"',
    ...storedDayOfInstant(definition),
  ]
  const same = keyColumns(definition).map(
    (column) => `${storedValue(column)} = k.${quoteIdentifier(column.name)}`,
  )
  return `copy (select ${values.join(', ')} from ${targetTable(definition)} t ${dimensionJoins(definition)} join ${KEYS_TABLE} k on ${same.join(' and ')}) to stdout with (${COPY_OPTIONS})`
}

/** Returns SQL of the value of a column as users know it: the code where the table has a surrogate id. */
function storedValue(column: Column): string {
  return column.type === 'text' && column.dimension
    ? `${dimensionAlias(column)}.${quoteIdentifier(column.dimension.key)}`
    : `t.${quoteIdentifier(column.name)}`
}

function dimensionAlias(column: Column): string {
  return quoteIdentifier(`d_${column.name}`)
}

function dimensionJoins(definition: DatasetDefinition): string {
  return fileColumns(definition)
    .flatMap((column) =>
      column.type === 'text' && column.dimension
        ? [
            `left join "public".${quoteIdentifier(column.dimension.table)} ${dimensionAlias(column)} on ${dimensionAlias(column)}."id" = t.${quoteIdentifier(column.dimension.idColumn)}`,
          ]
        : [],
    )
    .join(' ')
}

function storedScope(definition: DatasetDefinition): string {
  const column = definition.columns.find(({ name }) => name === definition.replaceScope)
  return column ? `${storedValue(column)}::text` : `''`
}

/** Returns SQL of the day of a row whose window column is an instant, by PostgreSQL's own zone rules. */
function storedDayOfInstant(definition: DatasetDefinition): string[] {
  const window = definition.columns.find(({ name }) => name === definition.windowColumn)
  return window?.type === 'timestamp' ? [storedDay(definition)] : []
}

function storedDay(definition: DatasetDefinition): string {
  const column = definition.columns.find(({ name }) => name === definition.windowColumn)
  if (!column) return 'null::text'
  const value = `t.${quoteIdentifier(column.name)}`
  return column.type === 'timestamp' ? `${dayInZone(value, column.timeZone)}::text` : `${value}::text`
}
