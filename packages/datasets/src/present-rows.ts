import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { plainNumber } from './literals.ts'
import { anyOf, quotedList, type Selection, targetColumns, targetTable } from './target.ts'

/**
 * Returns a PostgreSQL query for one row `{rows}`: how many rows that an import added equal other rows of some selections
 * in all columns of the file. Each other row is counted at most once.
 */
export function presentRows(
  definition: DatasetDefinition,
  importNo: number,
  selections: readonly Selection[],
): string {
  const names = targetColumns(definition).flatMap(({ name, source }) => (source ? [name] : []))
  const first = `(${plainNumber(importNo)}::bigint << 32)`
  const own = `"id" between ${first} and ${first} + 4294967295`
  const rows = (whose: string) =>
    `select ${quotedList(names)} from ${targetTable(definition)} where (${anyOf(definition, selections)}) and ${whose}`
  return `select count(*) as rows from (${rows(own)} intersect all ${rows(`not (${own})`)}) as present`
}
