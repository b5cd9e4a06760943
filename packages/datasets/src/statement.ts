/** A statement for DuckDB in the form that the engine accepts. */
export interface NamedStatement {
  name: string
  sql: string
  as: 'rows' | 'none'
}

/**
 * Runs statements in order in one database, which keeps its temporary tables, and returns their results by name of the
 * statement. `until` is the share of all work that is complete after them.
 */
export type RunStatements = (
  statements: readonly NamedStatement[],
  options?: { until?: number },
) => Promise<Record<string, { rows: unknown[] }>>
