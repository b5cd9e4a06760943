import type { Column } from '@aduana/contracts/dataset-definition'
import { valueType } from './rules/value-type.ts'

/** Additional digits of a sum of 10,000,000,000 numbers. */
const MORE_DIGITS = 10
const MAX_DIGITS = 38

/**
 * Returns DuckDB's SQL of an exact sum as text, of any number of values of a decimal or integer type; `filter` is a
 * condition. A sum of decimals of nearly 38 digits does not fit into a decimal, so it uses integers of unlimited size.
 */
export function exactSum(value: string, type: string, filter?: string): string {
  const only = filter === undefined ? '' : ` filter (${filter})`
  const [, precision, scale] = /^DECIMAL\((\d+),(\d+)\)$/.exec(type) ?? []
  if (scale === undefined || Number(precision) + MORE_DIGITS <= MAX_DIGITS)
    return `coalesce(sum(${value})${only}, 0)::varchar`
  const digits = `coalesce(sum(replace(${value}::varchar, '.', '')::bignum)${only}, 0::bignum)::varchar`
  return scale === '0' ? digits : `list_transform([${digits}], lambda digits: ${pointed('digits', scale)})[1]`
}

/** Returns SQL of the exact sum of a column of a clean file, as text. */
export function sumOfColumn(value: string, column: Column): string {
  return exactSum(value, valueType(column))
}

/** Returns SQL of a whole number as text, with a decimal mark before its last digits. */
function pointed(text: string, scale: string): string {
  const padded = `lpad(ltrim(${text}, '-'), greatest(length(ltrim(${text}, '-')), ${scale} + 1)::int, '0')`
  return `case when starts_with(${text}, '-') then '-' else '' end || left(${padded}, -${scale}) || '.' || right(${padded}, ${scale})`
}
