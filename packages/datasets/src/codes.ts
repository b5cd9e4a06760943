import type { Column, DatasetDefinition } from '@aduana/contracts/dataset-definition'

/**
 * Returns whether the texts of a column are codes, which are compared, rather than free text. Codes are cleaned before
 * any rule is applied.
 */
export function isCode(definition: DatasetDefinition, column: Column): boolean {
  if (column.type !== 'text') return false
  if (column.code !== undefined) return column.code
  const { unique, key, scope, replaceScope, versionColumn } = definition
  const identifying = [
    ...(unique?.columns ?? []),
    ...(key ?? []),
    scope?.company,
    scope?.warehouse,
    replaceScope,
    versionColumn,
  ]
  return (
    identifying.includes(column.name) ||
    column.dimension !== undefined ||
    column.pattern !== undefined ||
    column.enum !== undefined
  )
}
