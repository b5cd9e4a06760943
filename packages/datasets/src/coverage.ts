import type { Column, DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { literals, quoteIdentifier } from './literals.ts'

/** Companies and warehouses; null means all of them. */
export interface Coverage {
  companies: readonly string[] | null
  warehouses: readonly string[] | null
}

/** Returns the union of lists of companies, or of warehouses, sorted. Null means all of them. */
export function unionOfLists(lists: readonly (readonly string[] | null)[]): string[] | null {
  return lists.some((list) => list === null) ? null : [...new Set(lists.flatMap((list) => list ?? []))].sort()
}

/** Returns the part of a coverage that applies to a dataset: null where its rows have no company or no warehouse. */
export function coverageIn({ scope }: DatasetDefinition, { companies, warehouses }: Coverage): Coverage {
  return {
    companies: scope === undefined ? null : companies,
    warehouses: scope?.warehouse === undefined ? null : warehouses,
  }
}

/** Returns whether a coverage includes every row that a dataset can hold. */
export function coversAll(definition: DatasetDefinition, coverage: Coverage): boolean {
  const { companies, warehouses } = coverageIn(definition, coverage)
  return companies === null && warehouses === null
}

/**
 * Returns a SQL condition on rows of the target, named `alias`, that is true if their company and warehouse are covered. A
 * row without a company or warehouse is covered, because every reader may see it. Undefined if every row is covered.
 */
export function coveredRows(
  definition: DatasetDefinition,
  coverage: Coverage,
  alias?: string,
): string | undefined {
  const { companies, warehouses } = coverageIn(definition, coverage)
  const { scope } = definition
  const conditions = [
    ...among(definition, scope?.company, companies, alias),
    ...among(definition, scope?.warehouse, warehouses, alias),
  ]
  return conditions.length === 0 ? undefined : `(${conditions.join(' and ')})`
}

function among(
  { columns }: DatasetDefinition,
  name: string | undefined,
  list: readonly string[] | null,
  alias: string | undefined,
): string[] {
  const column = columns.find((candidate) => candidate.name === name)
  if (column === undefined || list === null) return []
  const prefix = alias === undefined ? '' : `${alias}.`
  const value = `${prefix}${quoteIdentifier(storedName(column))}`
  return [`(${value} is null or ${valueIn(column, value, list)})`]
}

function valueIn(column: Column, value: string, list: readonly string[]): string {
  const values = list.length === 0 ? `'{}'::text[]` : `array[${literals(list)}]::text[]`
  const dimension = column.type === 'text' ? column.dimension : undefined
  if (dimension === undefined) return `${value}::text = any (${values})`
  const { table, key } = dimension
  return `${value} in (select m."id" from "public".${quoteIdentifier(table)} m where m.${quoteIdentifier(key)}::text = any (${values}))`
}

/** Returns the name of a column in the target: the id column of a dimension in place of a code. */
function storedName(column: Column): string {
  return column.type === 'text' && column.dimension ? column.dimension.idColumn : column.name
}
