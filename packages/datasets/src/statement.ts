/** A statement for DuckDB in the form in which the engine takes it. */
export interface NamedStatement {
  name: string
  sql: string
  as: 'rows' | 'none'
}

/**
 * Runs statements in order in one database, whose temporary tables last, and returns by name of the statement what it
 * answers. `until` is the share of all the work that is done after them.
 */
export type RunStatements = (
  statements: readonly NamedStatement[],
  options?: { until?: number },
) => Promise<Record<string, { rows: unknown[] }>>
