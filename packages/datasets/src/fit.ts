import {
  type Column,
  type DatasetDefinition,
  type Dimension,
  maxLengthOf,
} from '@aduana/contracts/dataset-definition'
import type { CatalogueColumn, CatalogueTable } from './catalogue.ts'
import { at, columnPath, type PlacedProblem } from './placed-problems.ts'
import { type TargetColumn, targetColumns, targetName } from './target.ts'

/**
 * Returns the reasons, as sentences, why a definition cannot be loaded into its table; empty if it fits. If it fits, the
 * table accepts the types, lengths and NULLs of every good record.
 */
export function checkFit(definition: DatasetDefinition, catalogue: readonly CatalogueTable[]): string[] {
  return fitProblems(definition, catalogue).map(({ message }) => message)
}

/** Returns the reasons of `checkFit`, each with the part of the definition that it concerns. */
export function fitProblems(
  definition: DatasetDefinition,
  catalogue: readonly CatalogueTable[],
): PlacedProblem[] {
  const { schema, name } = definition.table
  const table = catalogue.find((entry) => entry.schema === schema && entry.name === name)
  if (!table) return at('table', [`there is no table "${schema}.${name}"`])
  const columns = targetColumns(definition)
  return [
    ...columns.flatMap((column) =>
      at(column.source ? columnPath(definition, column.source.name) : 'table', columnProblems(column, table)),
    ),
    ...at('table', unfilledProblems(definition, columns, table)),
    ...at('key', keyProblems(definition, table)),
    ...at('partitioned', partitionProblems(definition, table)),
    ...at('table', behaviourProblems(table)),
    ...looseProblems(definition, table),
    ...columns.flatMap(({ role, source }) =>
      role === 'dimension' && source.type === 'text' && source.dimension
        ? at(
            `${columnPath(definition, source.name)}.dimension`,
            dimensionProblems(source.name, source.dimension, maxLengthOf(source), catalogue),
          )
        : [],
    ),
  ]
}

const ROLE_TYPES: Record<Exclude<TargetColumn['role'], 'value' | 'dimension'>, string[]> = {
  id: ['bigint'],
  importNo: ['integer', 'bigint'],
  record: ['bigint'],
  rowHash: ['text', 'character varying'],
  batch: ['uuid'],
}

function columnProblems(column: TargetColumn, table: CatalogueTable): string[] {
  const label = `column "${column.name}" of table "${table.name}"`
  const found = table.columns.find(({ name }) => name === column.name)
  if (!found) return [`there is no ${label}`]
  if (found.generated) return [`${label} is generated always, so no load can fill it`]
  const nullable =
    found.required && column.source !== null && !column.source.required
      ? [`${label} must not be null, but the definition does not require "${column.source.name}"`]
      : []
  return [...typeProblems(column, found).map((problem) => `${label} ${problem}`), ...nullable]
}

function typeProblems(column: TargetColumn, found: CatalogueColumn): string[] {
  if (column.role === 'value') return valueProblems(column.source, found.type)
  const types = column.role === 'dimension' ? ['bigint'] : ROLE_TYPES[column.role]
  return types.includes(found.type) ? [] : [`has the type ${found.type}, but must be ${types.join(' or ')}`]
}

const BITS = new Map([
  ['smallint', 16],
  ['integer', 32],
  ['bigint', 64],
])

/** Returns why the type in the table cannot hold every good value of a column; empty if it can. */
function valueProblems(column: Column, type: string): string[] {
  const wrong = (needed: string) => [`has the type ${type}, but the definition requires ${needed}`]
  switch (column.type) {
    case 'text': {
      const length = /^character varying\((\d+)\)$/.exec(type)?.[1]
      const most = maxLengthOf(column)
      const fits = type === 'text' || type === 'character varying' || Number(length) >= most
      return fits ? [] : wrong(`text of ${most} characters`)
    }
    case 'integer':
      return type === 'numeric' || (BITS.get(type) ?? 0) >= column.bits
        ? []
        : wrong(`an integer of ${column.bits} bits`)
    case 'decimal': {
      const [, precision, scale] = /^numeric\((\d+),(\d+)\)$/.exec(type) ?? []
      const wholeDigits = Number(precision) - Number(scale)
      const fits = Number(scale) >= column.scale && wholeDigits >= column.precision - column.scale
      return type === 'numeric' || fits ? [] : wrong(`numeric(${column.precision},${column.scale})`)
    }
    case 'date':
      return type === 'date' ? [] : wrong('date')
    case 'timestamp':
      return type === 'timestamp with time zone' ? [] : wrong('timestamp with time zone')
    case 'boolean':
      return type === 'boolean' ? [] : wrong('boolean')
  }
}

/** Columns that the load does not write must be nullable or have a default. */
function unfilledProblems(
  definition: DatasetDefinition,
  columns: readonly TargetColumn[],
  table: CatalogueTable,
): string[] {
  const loaded = new Set(columns.map(({ name }) => name))
  const empty = table.columns
    .filter(({ name, required, filled }) => required && !filled && !loaded.has(name))
    .map(({ name }) => `column "${name}" of table "${table.name}" must not be null, but no load fills it`)
  const { loadedAtColumn } = definition
  const others = [
    ...definition.columns.filter(({ managed }) => managed).map(({ name }) => name),
    ...(loadedAtColumn === undefined ? [] : [loadedAtColumn]),
  ]
  const loadedAt = table.columns.find(({ name }) => name === loadedAtColumn)
  const missing = others
    .filter((name) => !table.columns.some((column) => column.name === name))
    .map((name) => `there is no column "${name}" of table "${table.name}"`)
  const wrong =
    loadedAt && (loadedAt.generated || !TIMES.test(loadedAt.type))
      ? [
          `column "${loadedAt.name}" of table "${table.name}" cannot hold a timestamp, because its type is ${typeOf(loadedAt)}`,
        ]
      : []
  return [...empty, ...missing, ...wrong]
}

const TIMES = /^(timestamp.*|date)$/

function typeOf({ type, generated }: CatalogueColumn): string {
  return generated ? `${type}, generated always` : type
}

/** Rejects features by which a table returns or stores other rows than those written to it. */
function behaviourProblems({ name, rewritten, rowSecurity, inherited }: CatalogueTable): string[] {
  return [
    ...(rewritten ? [`table "${name}" has rules, which rewrite the statements of a load`] : []),
    ...(rowSecurity ? [`row security of table "${name}" hides rows from the database role of Aduana`] : []),
    ...(inherited ? [`other tables inherit from table "${name}", which loads do not support`] : []),
  ]
}

/** Columns by which rows are looked up need a collation that distinguishes all different values. */
function looseProblems(definition: DatasetDefinition, table: CatalogueTable): PlacedProblem[] {
  const { key = [], replaceScope, scope, versionColumn } = definition
  const names = new Set([...key, replaceScope, scope?.company, scope?.warehouse, versionColumn])
  return definition.columns.flatMap(({ name }, index) =>
    names.has(name) && table.columns.some((column) => column.name === name && column.looselyCompared)
      ? at(`columns[${index}]`, [
          `column "${name}" of table "${table.name}" has a collation that treats different texts as equal`,
        ])
      : [],
  )
}

function keyProblems(definition: DatasetDefinition, table: CatalogueTable): string[] {
  if (definition.loadMode !== 'upsert' || !definition.key) return []
  const key = definition.key.map((name) => targetName(definition, name))
  return isUnique(table, key)
    ? []
    : [`table "${table.name}" has no unique constraint on (${key.join(', ')}), the key of the upsert`]
}

function partitionProblems(definition: DatasetDefinition, table: CatalogueTable): string[] {
  const { partitioned, windowColumn } = definition
  if (!partitioned)
    return table.partitionKey === null
      ? []
      : [`table "${table.name}" is partitioned, but the definition is not`]
  const fits = table.partitionKey?.length === 1 && table.partitionKey[0] === windowColumn
  if (!fits) return [`table "${table.name}" is not partitioned by range of "${windowColumn}"`]
  // Months are filled as separate tables, which have neither, before they are attached as partitions.
  const identity = table.columns.filter((column) => column.identity).map(({ name }) => `"${name}"`)
  return [
    ...(table.owned
      ? []
      : [
          `the database role of Aduana does not own table "${table.name}", so it cannot create its partitions`,
        ]),
    ...(identity.length === 0
      ? []
      : [`partitioned table "${table.name}" must not have identity columns: ${identity.join(', ')}`]),
    ...(table.rowTriggers.length === 0
      ? []
      : [`partitioned table "${table.name}" must not have row triggers: ${table.rowTriggers.join(', ')}`]),
  ]
}

function dimensionProblems(
  column: string,
  dimension: Dimension,
  maxLength: number,
  catalogue: readonly CatalogueTable[],
): string[] {
  const table = catalogue.find(({ schema, name }) => schema === 'public' && name === dimension.table)
  if (!table) return [`there is no table "${dimension.table}", the dimension of column "${column}"`]
  const needed: [string, string][] = [
    ['id', 'bigint'],
    ...(dimension.onMissing === 'create' ? [['created_by_job', 'uuid'] satisfies [string, string]] : []),
  ]
  const wrong = needed
    .filter(([name, type]) => !table.columns.some((entry) => entry.name === name && entry.type === type))
    .map(([name, type]) => `dimension table "${table.name}" has no column "${name}" of type ${type}`)
  const key = table.columns.find(({ name }) => name === dimension.key)
  if (key && !/^(text|character varying.*)$/.test(key.type))
    wrong.push(
      `the key "${key.name}" of dimension table "${table.name}" has the type ${key.type}, but must be text`,
    )
  if (key?.looselyCompared)
    wrong.push(
      `the key of dimension table "${table.name}" has a collation that treats different codes as equal`,
    )
  if (dimension.onMissing === 'create') wrong.push(...memberProblems(maxLength, dimension, table))
  if (!table.readable)
    wrong.push(`the database role of Aduana lacks the right to read dimension table "${table.name}"`)
  wrong.push(...behaviourProblems(table))
  return isUnique(table, [dimension.key])
    ? wrong
    : [...wrong, `dimension table "${table.name}" has no unique constraint on (${dimension.key})`]
}

/** A load writes only the code and the job of a new member; its other columns must be nullable or have a default. */
function memberProblems(maxLength: number, dimension: Dimension, table: CatalogueTable): string[] {
  const given = [dimension.key, 'created_by_job']
  const length = /^character varying\((\d+)\)$/.exec(
    table.columns.find(({ name }) => name === dimension.key)?.type ?? '',
  )?.[1]
  return [
    ...table.columns
      .filter(({ name, required, filled }) => required && !filled && !given.includes(name))
      .map(
        ({ name }) =>
          `column "${name}" of dimension table "${table.name}" must not be null, but no load fills it`,
      ),
    ...table.columns
      .filter(({ name, generated }) => generated && given.includes(name))
      .map(
        ({ name }) =>
          `column "${name}" of dimension table "${table.name}" is generated always, so no load can fill it`,
      ),
    ...(length !== undefined && Number(length) < maxLength
      ? [
          `the key of dimension table "${table.name}" holds ${length} characters, but codes may have ${maxLength}`,
        ]
      : []),
    ...(table.insertable
      ? []
      : [`the database role of Aduana lacks the right to insert into dimension table "${table.name}"`]),
  ]
}

function isUnique(table: CatalogueTable, names: readonly string[]): boolean {
  return table.uniques.some(
    (unique) => unique.length === names.length && unique.every((name) => names.includes(name)),
  )
}
