/** A statement for DuckDB in the form in which the engine's `query` task takes it. */
export interface NamedStatement {
  name: string
  sql: string
  /** A query for one truth value, asked before: unless it is true, the statement is left out. */
  onlyIf?: string
  as: 'rows' | 'none'
}
