import { quoteIdentifier } from './literals.ts'

/**
 * Returns a DuckDB query for one row `{digest}`, equal for equal clean rows in any order, and null without rows. The digest
 * sums two hashes of each row, DuckDB's own because MD5 would take a third of the time of a validation. Another version of
 * DuckDB may hash differently: equal rows are then not recognised, but different rows are never taken for equal.
 */
export function digestQuery(columns: readonly string[], clean: string): string {
  const names = columns.map(quoteIdentifier)
  const sum = (list: readonly string[]) => `sum(hash(${list.join(', ')})::hugeint)`
  const parts = ['count(*)', sum(names), sum([...names.reverse(), '1'])]
  return `select case when count(*) > 0 then md5(concat_ws(' ', ${parts.join(', ')})) end as digest from ${clean}`
}
