import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Day } from '@aduana/contracts/dates'
import { LOCK_TEXTS } from '@aduana/db/advisory-locks'
import { lit, quoteIdentifier } from './literals.ts'
import { quotedList, targetTable } from './target.ts'

/** A monthly partition: its table, and its half-open range of days. */
export interface Partition {
  name: string
  from: Day
  to: Day
}

/** Returns the monthly partitions that hold the given days, in order and without repetition. */
export function partitionsFor(definition: DatasetDefinition, days: Iterable<Day>): Partition[] {
  const months = [...new Set([...days].map((day) => day.slice(0, 7)))].sort()
  return months.map((month) => ({
    name: `${definition.table.name}_${month.replace('-', '_')}`,
    from: `${month}-01`,
    to: `${monthAfter(month)}-01`,
  }))
}

/** Returns a table of the target's schema as `"schema"."name"`. */
export function besideTarget(definition: DatasetDefinition, name: string): string {
  return `${quoteIdentifier(definition.table.schema)}.${quoteIdentifier(name)}`
}

/** Returns a query for rows `{name}`: tables that attempts of an import have filled and that are not attached yet. */
export function listFresh(definition: DatasetDefinition, importNo: number): string {
  return `select c.relname as name from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${lit(definition.table.schema)} and c.relkind = 'r' and not c.relispartition
      and starts_with(c.relname, ${lit(`load_${importNo}_`)}) order by 1`
}

/** Returns a statement that locks the partitions of the target against changes by other transactions, which wait. */
export function lockPartitions(definition: DatasetDefinition): string {
  return `select pg_advisory_xact_lock(${LOCK_TEXTS.partitions(targetTable(definition))})`
}

/** A partition of the target, created by this program or not. A missing bound is null. */
export interface ExistingPartition {
  name: string
  from: Day | null
  to: Day | null
  /** It is not partitioned itself. */
  plain: boolean
}

/** Returns a query for rows `ExistingPartition`: the partitions of the target. A default partition has no bounds. */
export function listPartitions(definition: DatasetDefinition): string {
  const bound = (word: string) =>
    `to_char((regexp_match(pg_get_expr(child.relpartbound, child.oid), '${word} \\(''([^'']+)''\\)'))[1]::date, 'YYYY-MM-DD') as "${word.toLowerCase()}"`
  return `select child.relname::text as name, child.relkind = 'r' as plain, ${bound('FROM')}, ${bound('TO')} from pg_catalog.pg_inherits join pg_catalog.pg_class child on child.oid = inhrelid where inhparent = ${lit(targetTable(definition))}::regclass order by 1`
}

/** Returns the partitions that hold rows of a month: none, its own, or partitions with other bounds. */
export function partitionsOver(
  partition: Partition,
  existing: readonly ExistingPartition[],
): ExistingPartition[] {
  return existing.filter(
    ({ from, to }) => (from === null || from < partition.to) && (to === null || to > partition.from),
  )
}

/** Returns whether a partition is the one that this program creates for a month. */
export function isMonth(found: ExistingPartition | undefined, { name, from, to }: Partition): boolean {
  return found?.name === name && found.from === from && found.to === to && found.plain
}

/**
 * Returns a statement that creates a table to be attached as a partition. It is like the target but has no indexes, so that
 * COPY is fast. With its check constraint PostgreSQL attaches it without a scan. It has no grants: readers use the parent,
 * whose row security applies.
 */
export function createFresh(definition: DatasetDefinition, name: string, partition: Partition): string {
  const day = quoteIdentifier(partitionedBy(definition))
  const month = `${day} >= date ${lit(partition.from)} and ${day} < date ${lit(partition.to)}`
  return `create table ${besideTarget(definition, name)} (like ${targetTable(definition)} including defaults including constraints including generated including storage including compression, constraint "month_of_partition" check (${month}))`
}

/** Returns a query for rows `{definition}`: the target's indexes, to follow `alter table … add` or `create index on …`. */
export function listIndexes(definition: DatasetDefinition): string {
  return `select case when c.oid is null then regexp_replace(pg_get_indexdef(i.indexrelid), '^CREATE (UNIQUE )?INDEX .*? ON .*? USING ', 'using ') else pg_get_constraintdef(c.oid) end as definition,
      c.oid is not null as is_constraint, i.indisunique and c.oid is null as is_unique
    from pg_catalog.pg_index i left join pg_catalog.pg_constraint c on c.conindid = i.indexrelid and c.contype in ('p', 'u', 'x')
    where i.indrelid = ${lit(targetTable(definition))}::regclass order by i.indexrelid`
}

/** Returns a statement that builds one of the target's indexes on a fresh table. */
export function buildIndex(
  definition: DatasetDefinition,
  name: string,
  index: { definition: string; is_constraint: boolean; is_unique: boolean },
): string {
  const table = besideTarget(definition, name)
  if (index.is_constraint) return `alter table ${table} add ${index.definition}`
  return `create ${index.is_unique ? 'unique ' : ''}index on ${table} ${index.definition}`
}

/**
 * Returns the statements that attach a fresh table as the partition of its month, without blocking readers and writers of
 * other partitions, and drop its check constraint.
 */
export function attachFresh(definition: DatasetDefinition, name: string, partition: Partition): string[] {
  const fresh = besideTarget(definition, name)
  const table = besideTarget(definition, partition.name)
  const [from, to] = [lit(partition.from), lit(partition.to)]
  return [
    `alter table ${fresh} rename to ${quoteIdentifier(partition.name)}`,
    renameIndexes(definition, name, partition),
    `alter table ${targetTable(definition)} attach partition ${table} for values from (${from}) to (${to})`,
    `alter table ${table} drop constraint "month_of_partition"`,
  ]
}

/**
 * Renames indexes, which are named after the table on which they were built, along with the partition. Names that are taken
 * are skipped: names are truncated to 63 bytes, so two of them may be equal.
 */
function renameIndexes(definition: DatasetDefinition, name: string, partition: Partition): string {
  const [schema, table] = [lit(definition.table.schema), lit(besideTarget(definition, partition.name))]
  return `do $$ declare found record; begin
    for found in select c.relname as old, left(replace(c.relname, ${lit(name)}, ${lit(partition.name)}), 63) as new
      from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
      where i.indrelid = ${table}::regclass and c.relname like ${lit(`${name}%`)}
    loop
      if to_regclass(format('%I.%I', ${schema}, found.new)) is null then
        execute format('alter index %I.%I rename to %I', ${schema}, found.old, found.new);
      end if;
    end loop; end $$`
}

/** Returns the statements that drop a partition with its rows. They lock the whole target, so run nothing slow after them. */
export function dropPartition(definition: DatasetDefinition, partition: Partition): string[] {
  const table = besideTarget(definition, partition.name)
  return [`alter table ${targetTable(definition)} detach partition ${table}`, `drop table ${table}`]
}

/**
 * Returns the statements that insert the rows of a fresh table into the target and drop the table. `columns` are those of
 * `listColumns`.
 */
export function insertFresh(
  definition: DatasetDefinition,
  name: string,
  columns: readonly string[],
): string[] {
  const fresh = besideTarget(definition, name)
  const list = quotedList(columns)
  return [
    `insert into ${targetTable(definition)} (${list}) select ${list} from ${fresh}`,
    `drop table ${fresh}`,
  ]
}

function partitionedBy(definition: DatasetDefinition): string {
  if (definition.partitioned && definition.windowColumn !== undefined) return definition.windowColumn
  throw new Error(`"${definition.code}" is not partitioned`)
}

function monthAfter(month: string): string {
  const date = new Date(`${month}-01T00:00:00Z`)
  date.setUTCMonth(date.getUTCMonth() + 1)
  return date.toISOString().slice(0, 7)
}
