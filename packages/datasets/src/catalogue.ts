import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Database, Tx } from '@aduana/db/database'
import { CompiledQuery } from 'kysely'
import { z } from 'zod'

/** A column of a table as PostgreSQL's catalogue describes it; `type` is written like `character varying(20)`. */
const CatalogueColumn = z.object({
  name: z.string(),
  type: z.string(),
  required: z.boolean(),
  /** It has a default, an identity or a generation expression, so a load may omit it. */
  filled: z.boolean(),
  /** It is generated always, so a load cannot set it. */
  generated: z.boolean(),
  /** It is an identity column (`generated … as identity`). */
  identity: z.boolean(),
  /** Its collation is nondeterministic: texts with different bytes may be equal. */
  looselyCompared: z.boolean(),
})
export type CatalogueColumn = z.infer<typeof CatalogueColumn>

/** The properties of a table that a load depends on. */
export const CatalogueTable = z.object({
  schema: z.string(),
  name: z.string(),
  /** It is a partition of another table; its rows should only be accessed through that table. */
  isPart: z.boolean(),
  /** The database role of the program may read and write it. */
  writable: z.boolean(),
  readable: z.boolean(),
  insertable: z.boolean(),
  /** The database role of the program owns it and may create tables in its schema, as partitions require. */
  owned: z.boolean(),
  /** Tables that are not its partitions inherit from it. */
  inherited: z.boolean(),
  /** Row security hides rows from the database role of the program. */
  rowSecurity: z.boolean(),
  /** It has rules (`create rule`), which rewrite statements. */
  rewritten: z.boolean(),
  /** User-defined row triggers. */
  rowTriggers: z.array(z.string()),
  /** Columns of the range partition key; null if the table is not partitioned by range. */
  partitionKey: z.array(z.string()).nullable(),
  columns: z.array(CatalogueColumn),
  /** Column sets of the unique constraints and indexes that cover every row. */
  uniques: z.array(z.array(z.string())),
  /** B-tree indexes over columns, with every column that an entry holds. */
  indexes: z.array(z.object({ name: z.string(), columns: z.array(z.string()) })),
})
export type CatalogueTable = z.infer<typeof CatalogueTable>

/** Runs a query: a pg client or pool. */
export interface Queryable {
  query(text: string, values: unknown[]): Promise<{ rows: unknown[] }>
}

/** Adapts a database or a transaction to `readCatalogue`. */
export function queryable(db: Database | Tx): Queryable {
  return { query: (text, values) => db.executeQuery(CompiledQuery.raw(text, values)) }
}

const QUERY = `
select n.nspname as schema, c.relname as name,
  exists (select from pg_inherits i where i.inhrelid = c.oid) as "isPart",
  has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT') and has_table_privilege(c.oid, 'INSERT')
    and has_table_privilege(c.oid, 'UPDATE') and has_table_privilege(c.oid, 'DELETE') as writable,
  has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT') as readable,
  has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'INSERT') as insertable,
  has_schema_privilege(n.oid, 'CREATE') and pg_has_role(c.relowner, 'USAGE') as owned,
  c.relkind = 'r' and exists (select from pg_inherits i where i.inhparent = c.oid) as inherited,
  row_security_active(c.oid) as "rowSecurity",
  exists (select from pg_rewrite r where r.ev_class = c.oid) as rewritten,
  (select coalesce(json_agg(t.tgname order by t.tgname), '[]') from pg_trigger t
    where t.tgrelid = c.oid and not t.tgisinternal and t.tgenabled <> 'D' and t.tgtype & 1 = 1) as "rowTriggers",
  (select array_agg(a.attname::text order by k.place)
     from pg_partitioned_table p, unnest(p.partattrs::int2[]) with ordinality as k(attnum, place), pg_attribute a
    where p.partrelid = c.oid and p.partstrat = 'r' and a.attrelid = c.oid and a.attnum = k.attnum) as "partitionKey",
  (select coalesce(json_agg(json_build_object(
            'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'required', a.attnotnull,
            'filled', a.atthasdef or a.attidentity <> '', 'generated', a.attgenerated <> '' or a.attidentity = 'a',
            'identity', a.attidentity <> '',
            'looselyCompared', coalesce((select not l.collisdeterministic from pg_collation l where l.oid = a.attcollation), false))
          order by a.attnum), '[]')
     from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
  (select coalesce(json_agg(keys.names), '[]')
     from (select (select json_agg(a.attname order by k.place)
                     from unnest(i.indkey::int2[]) with ordinality as k(attnum, place)
                     join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
                    where k.place <= i.indnkeyatts) as names
             from pg_index i
            where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null) keys) as uniques,
  (select coalesce(json_agg(json_build_object('name', x.relname, 'columns',
            (select json_agg(a.attname order by k.place)
               from unnest(i.indkey::int2[]) with ordinality as k(attnum, place)
               join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum)) order by x.relname), '[]')
     from pg_index i join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam
    where i.indrelid = c.oid and m.amname = 'btree' and i.indexprs is null) as indexes
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'p') and (n.nspname, c.relname) in (select * from unnest($1::text[], $2::text[]))`

/** Returns the table of a definition and its dimension tables. Tables that do not exist are omitted. */
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
