import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { DayRange } from '@aduana/contracts/dates'
import { quoteIdentifier } from './literals.ts'
import { COPY_OPTIONS, dayConditions, quotedList, targetColumns, targetName, targetTable } from './target.ts'

/**
 * Returns a statement that deletes the rows that an import inserted, which it finds by their ids. `days` must include all
 * of them; with it other partitions are not read. In an upserted table, rows that were changed since are kept.
 */
export function deleteImported(definition: DatasetDefinition, importNo: number, days?: DayRange): string {
  return `delete from ${targetTable(definition)} where ${imported(definition, importNo, days)}`
}

/** Returns a query for one row `{rows}`: how many rows that `deleteImported` deletes were written by this transaction. */
export function countWrittenOfImported(
  definition: DatasetDefinition,
  importNo: number,
  days?: DayRange,
): string {
  return `select count(*) as rows from ${targetTable(definition)} t where ${imported(definition, importNo, days)} and ${WRITTEN_HERE}`
}

function imported(definition: DatasetDefinition, importNo: number, days: DayRange | undefined): string {
  const conditions = [
    ownIds(importNo),
    ...(days ? dayConditions(definition, days) : []),
    ...(definition.loadMode === 'upsert' ? [`"import_no" = ${importNo}`] : []),
  ]
  return conditions.join(' and ')
}

/** SQL that is true if this transaction wrote the newest version of row `t`. */
const WRITTEN_HERE = 't.xmin = pg_current_xact_id()::xid'

/** Returns `COPY … FROM STDIN` for a before-image, into the target or another table (already quoted). */
export function copyBack(
  definition: DatasetDefinition,
  columns: readonly string[],
  table = targetTable(definition),
): string {
  return `copy ${table} (${quotedList(columns)}) from stdin with (${COPY_OPTIONS}, header match)`
}

/** Returns the quoted name of the temporary table for the before-image of an upsert. */
export function imageTable(importNo: number): string {
  return `pg_temp.${quoteIdentifier(`image_of_${importNo}`)}`
}

/** Returns the DDL of that table, which is dropped on commit. */
export function createImageTable(
  definition: DatasetDefinition,
  importNo: number,
  columns: readonly string[],
): string {
  return `create temp table ${quoteIdentifier(`image_of_${importNo}`)} on commit drop as select ${quotedList(columns)} from ${targetTable(definition)} with no data`
}

/** Returns a query for rows `{import_no}`: the other imports that since changed rows which an upsert inserted or changed. */
export function laterWriters(definition: DatasetDefinition, importNo: number): string {
  const target = targetTable(definition)
  return `select import_no from ${target} where ${ownIds(importNo)} and import_no <> ${importNo} union select t.import_no from ${target} t join ${imageTable(importNo)} b on b.id = t.id where t.import_no <> ${importNo}`
}

/**
 * Returns a statement that locks the rows that an upsert inserted or changed, in the order of their keys, because an upsert
 * of the same keys under other windows may run at the same time.
 */
export function lockImported(definition: DatasetDefinition, importNo: number): string {
  const target = targetTable(definition)
  const key = (definition.key ?? []).map((name) => targetName(definition, name))
  return `select from ${target} where id in (select id from ${target} where ${ownIds(importNo)} union select id from ${imageTable(importNo)}) order by ${quotedList(key)} for no key update`
}

/**
 * Returns a statement that restores the rows that an upsert changed and that were not changed since: every column that a
 * load writes, including the last writer. Other columns, such as managed ones, keep their current values.
 */
export function restoreRows(definition: DatasetDefinition, importNo: number): string {
  const loadedAt = definition.loadedAtColumn === undefined ? [] : [definition.loadedAtColumn]
  const written = targetColumns(definition)
    .map(({ name }) => name)
    .filter((name) => name !== 'id')
  const values = [...written, ...loadedAt].map(
    (name) => `${quoteIdentifier(name)} = b.${quoteIdentifier(name)}`,
  )
  return `update ${targetTable(definition)} t set ${values.join(', ')} from ${imageTable(importNo)} b where t.id = b.id and t.import_no = ${importNo}`
}

/** Returns a query for one row `{rows}`: how many rows that `restoreRows` changes were written by this transaction. */
export function countWrittenOfImage(definition: DatasetDefinition, importNo: number): string {
  return `select count(*) as rows from ${targetTable(definition)} t join ${imageTable(importNo)} b on b.id = t.id where t.import_no = ${importNo} and ${WRITTEN_HERE}`
}

/** Returns a query for one row `{absent}`: how many rows of the image are no longer in the target. */
export function absentRows(definition: DatasetDefinition, importNo: number): string {
  return `select count(*) as absent from ${imageTable(importNo)} b where not exists (select from ${targetTable(definition)} t where t.id = b.id)`
}

function ownIds(importNo: number): string {
  const first = BigInt(importNo) << 32n
  return `"id" >= ${first} and "id" < ${first + (1n << 32n)}`
}
