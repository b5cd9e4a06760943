import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { lit, quoteIdentifier } from './literals.ts'
import type { NamedStatement } from './statement.ts'

/**
 * The members of the dimension of one column: a Parquet file, or one JSON object per line if the name ends in
 * `.ndjson`, with `code` (text) and `id` (bigint, in JSON as text or number).
 */
export interface MemberFile {
  column: string
  file: string
}

/** Returns a subquery with the columns `code` and `id` of the members. */
export function membersQuery(file: MemberFile): string {
  const source = file.file.endsWith('.ndjson')
    ? `read_json(${lit(file.file)}, format = 'newline_delimited', columns = {code: 'VARCHAR', id: 'BIGINT'})`
    : `read_parquet(${lit(file.file)})`
  return `(select code, id from ${source})`
}

/** Returns a query for the codes only. */
export function memberCodes(file: MemberFile): string {
  return `select code from ${membersQuery(file)}`
}

/** A column whose codes become ids, with the query for the codes in a clean file. */
export interface DistinctMembers {
  column: string
  table: string
  key: string
  /** Returns rows `{code}`, sorted, without NULL. Its name is `members-` and the column. */
  statement: NamedStatement
}

/** Returns, per dimension column, the query for the distinct codes of a clean file. */
export function distinctMembers(definition: DatasetDefinition, clean: string): DistinctMembers[] {
  return definition.columns.flatMap((column) => {
    if (column.type !== 'text' || !column.dimension || column.managed) return []
    const name = quoteIdentifier(column.name)
    const sql = `select distinct ${name} as code from read_parquet(${lit(clean)}) where ${name} is not null order by 1`
    const statement: NamedStatement = { name: `members-${column.name}`, sql, as: 'rows' }
    return [{ column: column.name, table: column.dimension.table, key: column.dimension.key, statement }]
  })
}
