import type { Column, DatasetDefinition, Dimension } from '@aduana/contracts/dataset-definition'
import type { CatalogueColumn, CatalogueTable } from './catalogue.ts'
import { at, columnPath, type PlacedProblem } from './check.ts'
import { type TargetColumn, targetColumns, targetName } from './target.ts'

/**
 * What keeps a definition from being loaded into its table, in sentences; empty when it fits. A good record of a
 * fitting definition is never refused for its type, length or NULL by the table.
 */
export function checkFit(definition: DatasetDefinition, catalogue: readonly CatalogueTable[]): string[] {
  return fitProblems(definition, catalogue).map(({ message }) => message)
}

/** What `checkFit` tells, with the part of the definition that each is about. */
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
    ...columns.flatMap(({ role, source }) =>
      role === 'dimension' && source.type === 'text' && source.dimension
        ? at(
            `${columnPath(definition, source.name)}.dimension`,
            dimensionProblems(source.name, source.dimension, catalogue),
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
  return types.includes(found.type) ? [] : [`is ${found.type}, but takes ${types.join(' or ')}`]
}

const BITS = new Map([
  ['smallint', 16],
  ['integer', 32],
  ['bigint', 64],
])

/** Whether every good value of a column has a place in a type of the table. */
function valueProblems(column: Column, type: string): string[] {
  const wrong = (needed: string) => [`is ${type}, but the definition's values need ${needed}`]
  switch (column.type) {
    case 'text': {
      const length = /^character varying\((\d+)\)$/.exec(type)?.[1]
      const fits = type === 'text' || type === 'character varying' || Number(length) >= column.maxLength
      return fits ? [] : wrong(`text of ${column.maxLength} characters`)
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

/** Columns that the load leaves alone must be able to fill themselves. */
function unfilledProblems(
  definition: DatasetDefinition,
  columns: readonly TargetColumn[],
  table: CatalogueTable,
): string[] {
  const loaded = new Set(columns.map(({ name }) => name))
  const empty = table.columns
    .filter(({ name, required, filled }) => required && !filled && !loaded.has(name))
    .map(({ name }) => `column "${name}" of table "${table.name}" must not be null, but no load fills it`)
  const others = [
    ...definition.columns.filter(({ managed }) => managed).map(({ name }) => name),
    ...(definition.loadedAtColumn === undefined ? [] : [definition.loadedAtColumn]),
  ]
  const missing = others
    .filter((name) => !table.columns.some((column) => column.name === name))
    .map((name) => `there is no column "${name}" of table "${table.name}"`)
  return [...empty, ...missing]
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
    return table.partitionKey === null ? [] : [`table "${table.name}" is partitioned, the definition is not`]
  const fits = table.partitionKey?.length === 1 && table.partitionKey[0] === windowColumn
  return fits ? [] : [`table "${table.name}" is not partitioned by range of "${windowColumn}"`]
}

function dimensionProblems(
  column: string,
  dimension: Dimension,
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
    wrong.push(`the key "${key.name}" of dimension table "${table.name}" is ${key.type}, not text`)
  return isUnique(table, [dimension.key])
    ? wrong
    : [...wrong, `dimension table "${table.name}" has no unique constraint on (${dimension.key})`]
}

function isUnique(table: CatalogueTable, names: readonly string[]): boolean {
  return table.uniques.some(
    (unique) => unique.length === names.length && unique.every((name) => names.includes(name)),
  )
}
