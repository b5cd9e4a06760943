import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { type Coverage, coveredRows } from './coverage.ts'
import { quoteIdentifier } from './literals.ts'
import { COPY_OPTIONS, places, quotedList, targetColumns, targetName, targetTable } from './target.ts'

/** Returns the quoted name of the temporary table for the rows of an upsert. */
export function stageTable(definition: DatasetDefinition): string {
  return `pg_temp.${quoteIdentifier(`stage_${definition.code}`)}`
}

/** Returns the DDL of the stage table: the loaded columns without constraints. It is dropped on commit. */
export function createStageTable(definition: DatasetDefinition): string {
  const names = targetColumns(definition).map(({ name }) => name)
  const stage = quoteIdentifier(`stage_${definition.code}`)
  return `create temp table ${stage} on commit drop as select ${quotedList(names)} from ${targetTable(definition)} with no data`
}

/**
 * Returns a statement that merges the stage table into the target by the definition's key. It returns one row with
 * `{inserted, updated, unchanged}` (bigint) and `{days, companies, warehouses}`, the places of the written rows (text lists,
 * null where rows have none). A stored row is unchanged if its hash is equal or its version is newer. It keeps its id, which
 * identifies its first writer; `import_no` and `record` identify the last one.
 */
export function mergeStage(definition: DatasetDefinition): string {
  if (definition.loadMode !== 'upsert' || !definition.key)
    throw new Error(`"${definition.code}" is not loaded by upsert`)
  const key = definition.key.map((name) => targetName(definition, name))
  const names = targetColumns(definition).map(({ name }) => name)
  const changed = names
    .filter((name) => name !== 'id' && !key.includes(name))
    .map((name) => `${quoteIdentifier(name)} = excluded.${quoteIdentifier(name)}`)
  const loadedAt = definition.loadedAtColumn ? [`${quoteIdentifier(definition.loadedAtColumn)} = now()`] : []
  const stage = stageTable(definition)
  return [
    'with written as (',
    `insert into ${targetTable(definition)} as t (${quotedList(names)})`,
    `select ${quotedList(names)} from ${stage} order by ${quotedList(key)}`,
    `on conflict (${quotedList(key)}) do update set ${[...changed, ...loadedAt].join(', ')}`,
    `where ${differs(definition, 'excluded')}`,
    `returning t."id" = (t."import_no"::bigint << 32 | t."record") as inserted, ${places(definition)})`,
    'select count(*) filter (where inserted) as inserted, count(*) filter (where not inserted) as updated,',
    `(select count(*) from ${stage}) - count(*) as unchanged, ${LISTS} from written`,
  ].join(' ')
}

const list = (name: string, from: string) =>
  `(select case when count(*) = count(p) then coalesce(array_agg(p order by p), '{}') end from (select ${name} as p from ${from} group by 1) x)`
const LISTS = `${list('day', 'written')} as days, ${list('company', 'written')} as companies, ${list('warehouse', 'written')} as warehouses`

/** Returns a query for one row `{days, companies, warehouses}`, as in `mergeStage`: the former places of changed rows. */
export function placesBefore(definition: DatasetDefinition): string {
  return `with written as (select ${places(definition)} from ${beforeTable(definition)}) select ${LISTS}`
}

/** Returns SQL that is true if a staged row changes the stored row of its key: it has other values and no older version. */
function differs(definition: DatasetDefinition, staged: string): string {
  const version = definition.versionColumn
    ? quoteIdentifier(targetName(definition, definition.versionColumn))
    : undefined
  const newer = version ? ` and (t.${version} <= ${staged}.${version} or t.${version} is null)` : ''
  return `t."row_hash" is distinct from ${staged}."row_hash"${newer}`
}

/** Returns the quoted name of the temporary table with the stored rows before an upsert. */
export function beforeTable(definition: DatasetDefinition): string {
  return `pg_temp.${quoteIdentifier(`before_${definition.code}`)}`
}

/**
 * Returns a statement that locks the stored rows of all staged keys, in the order of the keys, and copies those that the
 * merge will change (`columns` are those of `listColumns`) into a temporary table, which is dropped on commit. Unchanged
 * rows are locked as well, because the merge would lock them later, out of order for another upsert of the same keys.
 */
export function createBeforeTable(definition: DatasetDefinition, columns: readonly string[]): string {
  const key = (definition.key ?? []).map((name) => quoteIdentifier(targetName(definition, name)))
  const same = key.map((name) => `t.${name} = s.${name}`).join(' and ')
  const order = key.map((name) => `s.${name}`).join(', ')
  const names = columns.map((name) => `t.${quoteIdentifier(name)}`)
  const listed = columns.map((_, index) => `c${index}`)
  const locked = `select ${names.map((name, index) => `${name} as c${index}`).join(', ')}, (${differs(definition, 's')}) as changes from ${targetTable(definition)} t join ${stageTable(definition)} s on ${same} order by ${order} for no key update of t`
  return `create temp table ${quoteIdentifier(`before_${definition.code}`)} (${quotedList(columns)}) on commit drop as with locked as materialized (${locked}) select ${listed.join(', ')} from locked where changes`
}

/**
 * Returns a query for `{rows, example}`: how many rows that the merge will change have the same version as the staged row,
 * and one such key. Undefined if the definition has no version column.
 */
export function sameVersion(definition: DatasetDefinition): string | undefined {
  if (definition.versionColumn === undefined) return undefined
  const names = (definition.key ?? []).map((name) => quoteIdentifier(targetName(definition, name)))
  const version = quoteIdentifier(targetName(definition, definition.versionColumn))
  const same = names.map((name) => `b.${name} = s.${name}`).join(' and ')
  const shown = names.map((name) => `s.${name}::text`).join(` || ' / ' || `)
  return `select count(*) as rows, min(${shown}) as example from ${stageTable(definition)} s join ${beforeTable(definition)} b on ${same} where b.${version} is not distinct from s.${version}`
}

/** Returns `COPY … TO STDOUT` of the rows before the upsert, with a header. */
export function copyBefore(definition: DatasetDefinition): string {
  return `copy ${beforeTable(definition)} to stdout with (${COPY_OPTIONS}, header true)`
}

/**
 * Returns a query for `{rows, example}`: how many staged rows have the key of a stored row of a company or warehouse outside
 * of `allowed`, and one such key. Undefined if `allowed` includes every row.
 */
export function foreignKeys(definition: DatasetDefinition, allowed: Coverage): string | undefined {
  const covered = coveredRows(definition, allowed, 't')
  if (covered === undefined) return undefined
  const names = (definition.key ?? []).map((name) => quoteIdentifier(targetName(definition, name)))
  const same = names.map((name) => `t.${name} = s.${name}`).join(' and ')
  const shown = names.map((name) => `s.${name}::text`).join(` || ' / ' || `)
  return `select count(*) as rows, min(${shown}) as example from ${stageTable(definition)} s join ${targetTable(definition)} t on ${same} where not ${covered}`
}
