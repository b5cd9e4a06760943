import type { Column } from '@aduana/contracts/dataset-definition'

/** Returns DuckDB's type of the clean values of a column. */
export function valueType(column: Column): string {
  switch (column.type) {
    case 'text':
      return 'VARCHAR'
    case 'integer':
      return { 16: 'SMALLINT', 32: 'INTEGER', 64: 'BIGINT' }[column.bits]
    case 'decimal':
      return `DECIMAL(${column.precision},${column.scale})`
    case 'date':
      return 'DATE'
    case 'timestamp':
      return 'TIMESTAMPTZ'
    case 'boolean':
      return 'BOOLEAN'
  }
}
