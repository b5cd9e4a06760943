import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { plainNumber } from './literals.ts'
import { anyOf, quotedList, type Selection, targetColumns, targetTable } from './target.ts'

/**
 * PostgreSQL: one row `{rows}`, how many of the rows that an import has added equal other rows of some selections in all
 * columns that it brings, each as often as it is there.
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
