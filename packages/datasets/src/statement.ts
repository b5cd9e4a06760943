/** A statement for DuckDB in the form in which the engine's `query` task takes it. */
export interface NamedStatement {
  name: string
  sql: string
  as: 'rows' | 'none'
}
