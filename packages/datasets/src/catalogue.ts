import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { z } from 'zod'

/** A column of a table as PostgreSQL's catalogue has it; `type` like `character varying(20)`. */
const CatalogueColumn = z.object({
  name: z.string(),
  type: z.string(),
  required: z.boolean(),
  /** A default, an identity, or an expression fills it when a load does not. */
  filled: z.boolean(),
  /** Nobody can set it: generated always. */
  generated: z.boolean(),
})
export type CatalogueColumn = z.infer<typeof CatalogueColumn>

/** A table with what a load needs to know of it. */
export const CatalogueTable = z.object({
  schema: z.string(),
  name: z.string(),
  /** A part of another table, by which alone its rows should be reached. */
  isPart: z.boolean(),
  /** The program's role may read and write it. */
  writable: z.boolean(),
  /** Columns of the range partition key; null for a table that is not partitioned by range. */
  partitionKey: z.array(z.string()).nullable(),
  columns: z.array(CatalogueColumn),
  /** Column sets of unique constraints and indexes that hold for every row. */
  uniques: z.array(z.array(z.string())),
})
export type CatalogueTable = z.infer<typeof CatalogueTable>

/** What runs a query: a pg client or pool. */
export interface Queryable {
  query(text: string, values: unknown[]): Promise<{ rows: unknown[] }>
}

const QUERY = `
select n.nspname as schema, c.relname as name,
  exists (select from pg_inherits i where i.inhrelid = c.oid) as "isPart",
  has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT') and has_table_privilege(c.oid, 'INSERT')
    and has_table_privilege(c.oid, 'UPDATE') and has_table_privilege(c.oid, 'DELETE') as writable,
  (select array_agg(a.attname::text order by k.place)
     from pg_partitioned_table p, unnest(p.partattrs::int2[]) with ordinality as k(attnum, place), pg_attribute a
    where p.partrelid = c.oid and p.partstrat = 'r' and a.attrelid = c.oid and a.attnum = k.attnum) as "partitionKey",
  (select coalesce(json_agg(json_build_object(
            'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'required', a.attnotnull,
            'filled', a.atthasdef or a.attidentity <> '', 'generated', a.attgenerated <> '' or a.attidentity = 'a')
          order by a.attnum), '[]')
     from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
  (select coalesce(json_agg(keys.names), '[]')
     from (select (select json_agg(a.attname order by k.place)
                     from unnest(i.indkey::int2[]) with ordinality as k(attnum, place)
                     join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
                    where k.place <= i.indnkeyatts) as names
             from pg_index i
            where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null) keys) as uniques
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p') and (n.nspname, c.relname) in (select * from unnest($1::text[], $2::text[]))`

/** Reads the definition's table and its dimension tables; those that do not exist are absent. */
export async function readCatalogue(
  client: Queryable,
  definition: DatasetDefinition,
): Promise<CatalogueTable[]> {
  const dimensions = definition.columns.flatMap((column) =>
    column.type === 'text' && column.dimension ? [column.dimension.table] : [],
  )
  const { schema, name } = definition.table
  const { rows } = await client.query(QUERY, [
    [schema, ...dimensions.map(() => 'public')],
    [name, ...dimensions],
  ])
  return z.array(CatalogueTable).parse(rows)
}
