import type { Column, DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { literals, quoteIdentifier } from './literals.ts'

/** Companies and warehouses; null means all of them. */
export interface Coverage {
  companies: readonly string[] | null
  warehouses: readonly string[] | null
}

/** The part of a coverage that matters to a dataset: null where its rows do not name a company, or a warehouse. */
export function coverageIn({ scope }: DatasetDefinition, { companies, warehouses }: Coverage): Coverage {
  return {
    companies: scope === undefined ? null : companies,
    warehouses: scope?.warehouse === undefined ? null : warehouses,
  }
}

/** Whether a coverage includes every row that a dataset can hold. */
export function coversAll(definition: DatasetDefinition, coverage: Coverage): boolean {
  const { companies, warehouses } = coverageIn(definition, coverage)
  return companies === null && warehouses === null
}

/**
 * SQL condition on rows of the target, named `alias`: their company and warehouse are covered. A row without a
 * company or warehouse is covered, because every reader may see it. Undefined when every row is.
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

/** The name of a column in the target: a dimension's id column in place of a code. */
function storedName(column: Column): string {
  return column.type === 'text' && column.dimension ? column.dimension.idColumn : column.name
}
