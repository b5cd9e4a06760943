import { quoteIdentifier } from './literals.ts'

/** A statement with its parameters, as pg's `query` takes them. */
export interface Statement {
  text: string
  values: unknown[]
}

/** The dimension table of a column and its key column; the table is in schema public. */
export interface DimensionTable {
  table: string
  key: string
}

/** Returns a statement that creates the missing members, sorted by code to avoid deadlocks. Its row count is their number. */
export function createMembers(dimension: DimensionTable, codes: readonly string[], jobId: string): Statement {
  const [table, key] = [`"public".${quoteIdentifier(dimension.table)}`, quoteIdentifier(dimension.key)]
  return {
    text: `insert into ${table} (${key}, "created_by_job") select wanted.code, $2::uuid from unnest($1::text[]) as wanted (code) where not exists (select from ${table} d where d.${key} = wanted.code) order by wanted.code on conflict (${key}) do nothing`,
    values: [codes, jobId],
  }
}

/** Returns a query for rows `{code, id}` (id is a bigint) of the members with these codes, or of all members. */
export function selectMembers(dimension: DimensionTable, codes?: readonly string[]): Statement {
  const [table, key] = [`"public".${quoteIdentifier(dimension.table)}`, quoteIdentifier(dimension.key)]
  const select = `select ${key} as code, "id" from ${table}`
  return codes === undefined
    ? { text: select, values: [] }
    : { text: `${select} where ${key} = any ($1::text[])`, values: [codes] }
}

/** Returns a query for one row `{members}` (a bigint), the number of members that a job created. */
export function countMembersOf(dimension: DimensionTable, jobId: string): Statement {
  const table = `"public".${quoteIdentifier(dimension.table)}`
  return { text: `select count(*) as members from ${table} where "created_by_job" = $1`, values: [jobId] }
}
