import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { DayRange } from '@aduana/contracts/dates'
import { quoteIdentifier } from './literals.ts'
import { COPY_OPTIONS, dayConditions, quotedList, targetColumns, targetName, targetTable } from './target.ts'

/**
 * Deletes the rows that an import brought; their ids tell. `days` (which must hold them all) spares a look into other
 * partitions. Of an upserted table only the rows that nobody has changed since.
 */
export function deleteImported(definition: DatasetDefinition, importNo: number, days?: DayRange): string {
  return `delete from ${targetTable(definition)} where ${imported(definition, importNo, days)}`
}

/** One row `{rows}`: how many of the rows that `deleteImported` deletes the transaction has written itself. */
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

/** The newest version of row `t` is of this transaction. */
const WRITTEN_HERE = 't.xmin = pg_current_xact_id()::xid'

/** `COPY … FROM STDIN` for a before-image, into the target or another table (already quoted). */
export function copyBack(
  definition: DatasetDefinition,
  columns: readonly string[],
  table = targetTable(definition),
): string {
  return `copy ${table} (${quotedList(columns)}) from stdin with (${COPY_OPTIONS}, header match)`
}

/** The temporary table that takes the before-image of an upsert, quoted. */
export function imageTable(importNo: number): string {
  return `pg_temp.${quoteIdentifier(`image_of_${importNo}`)}`
}

/** DDL of that table; it goes with the transaction. */
export function createImageTable(
  definition: DatasetDefinition,
  importNo: number,
  columns: readonly string[],
): string {
  return `create temp table ${quoteIdentifier(`image_of_${importNo}`)} on commit drop as select ${quotedList(columns)} from ${targetTable(definition)} with no data`
}

/** Rows `{import_no}`: which other imports have since changed rows that an upsert brought or changed. */
export function laterWriters(definition: DatasetDefinition, importNo: number): string {
  const target = targetTable(definition)
  return `select import_no from ${target} where ${ownIds(importNo)} and import_no <> ${importNo} union select t.import_no from ${target} t join ${imageTable(importNo)} b on b.id = t.id where t.import_no <> ${importNo}`
}

/**
 * Locks the rows that an upsert brought or changed, in the order of their keys: another upsert of the same keys, under other
 * windows, may be at them.
 */
export function lockImported(definition: DatasetDefinition, importNo: number): string {
  const target = targetTable(definition)
  const key = (definition.key ?? []).map((name) => targetName(definition, name))
  return `select from ${target} where id in (select id from ${target} where ${ownIds(importNo)} union select id from ${imageTable(importNo)}) order by ${quotedList(key)} for no key update`
}

/**
 * Gives the rows that an upsert changed, and nobody since, the values that they had: all that a load writes, also who
 * wrote them. What others write, managed columns above all, keeps its value of today.
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

/** One row `{rows}`: how many of the rows that `restoreRows` changes the transaction has written itself. */
export function countWrittenOfImage(definition: DatasetDefinition, importNo: number): string {
  return `select count(*) as rows from ${targetTable(definition)} t join ${imageTable(importNo)} b on b.id = t.id where t.import_no = ${importNo} and ${WRITTEN_HERE}`
}

/** One row `{absent}`: how many rows of the image are no longer in the target. */
export function absentRows(definition: DatasetDefinition, importNo: number): string {
  return `select count(*) as absent from ${imageTable(importNo)} b where not exists (select from ${targetTable(definition)} t where t.id = b.id)`
}

function ownIds(importNo: number): string {
  const first = BigInt(importNo) << 32n
  return `"id" >= ${first} and "id" < ${first + (1n << 32n)}`
}
