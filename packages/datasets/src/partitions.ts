import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Day } from '@aduana/contracts/dates'
import { lit, quoteIdentifier } from './literals.ts'
import { quotedList, targetTable } from './target.ts'

/** One monthly partition: its table, and its half-open range of days. */
export interface Partition {
  name: string
  from: Day
  to: Day
}

/** The monthly partitions that hold the given days, in order, each once. */
export function partitionsFor(definition: DatasetDefinition, days: Iterable<Day>): Partition[] {
  const months = [...new Set([...days].map((day) => day.slice(0, 7)))].sort()
  return months.map((month) => ({
    name: `${definition.table.name}_${month.replace('-', '_')}`,
    from: `${month}-01`,
    to: `${monthAfter(month)}-01`,
  }))
}

/** A table of the target's schema as `"schema"."name"`. */
export function besideTarget(definition: DatasetDefinition, name: string): string {
  return `${quoteIdentifier(definition.table.schema)}.${quoteIdentifier(name)}`
}

/** Rows `{name}`: tables beside the target that runs of an import have filled, and that are no partitions. */
export function listFresh(definition: DatasetDefinition, importNo: number): string {
  return `select c.relname as name from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${lit(definition.table.schema)} and c.relkind = 'r' and not c.relispartition
      and starts_with(c.relname, ${lit(`load_${importNo}_`)}) order by 1`
}

/** Statement that lets one transaction at a time change the partitions of the target; the others wait for its end. */
export function lockPartitions(definition: DatasetDefinition): string {
  return `select pg_advisory_xact_lock(hashtextextended(${lit(`partitions of ${targetTable(definition)}`)}, 0))`
}

/** A partition of the target, whether this program made it or not. A bound is null where there is none. */
export interface ExistingPartition {
  name: string
  from: Day | null
  to: Day | null
  /** It is not partitioned itself. */
  plain: boolean
}

/** Rows `ExistingPartition`: the partitions of the target; a default partition has no bounds. */
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

/** Returns whether a partition is one that this program makes for a month. */
export function isMonth(found: ExistingPartition | undefined, { name, from, to }: Partition): boolean {
  return found?.name === name && found.from === from && found.to === to && found.plain
}

/**
 * Statement that makes a table which will become a partition: like the target, but without its indexes, so that rows
 * can be copied in fast. Its check constraint spares PostgreSQL a scan at the attachment. No grants: only the parent,
 * whose row security holds, is for reading.
 */
export function createFresh(definition: DatasetDefinition, name: string, partition: Partition): string {
  const day = quoteIdentifier(partitionedBy(definition))
  const month = `${day} >= date ${lit(partition.from)} and ${day} < date ${lit(partition.to)}`
  return `create table ${besideTarget(definition, name)} (like ${targetTable(definition)} including defaults including constraints including generated including storage including compression, constraint "month_of_partition" check (${month}))`
}

/** Rows `{definition}`: what follows `alter table … add` or `create index on …` to give a table the target's indexes. */
export function listIndexes(definition: DatasetDefinition): string {
  return `select case when c.oid is null then regexp_replace(pg_get_indexdef(i.indexrelid), '^CREATE (UNIQUE )?INDEX .*? ON .*? USING ', 'using ') else pg_get_constraintdef(c.oid) end as definition,
      c.oid is not null as is_constraint, i.indisunique and c.oid is null as is_unique
    from pg_catalog.pg_index i left join pg_catalog.pg_constraint c on c.conindid = i.indexrelid and c.contype in ('p', 'u', 'x')
    where i.indrelid = ${lit(targetTable(definition))}::regclass order by i.indexrelid`
}

/** Statement that gives a fresh table one of the target's indexes, built in bulk. */
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
 * The statements that make a fresh table the partition of its month; readers and writers of the others are not held
 * up. The check constraint has done its work and goes.
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
 * Indexes are named after the table that they were built on, and are renamed with the partition unless the name is taken:
 * names are cut at 63 bytes, so two of them may become the same.
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

/** The statements that take a partition away with all its rows. They lock the whole target, so nothing slow may follow. */
export function dropPartition(definition: DatasetDefinition, partition: Partition): string[] {
  const table = besideTarget(definition, partition.name)
  return [`alter table ${targetTable(definition)} detach partition ${table}`, `drop table ${table}`]
}

/**
 * The statements that insert the rows of a fresh table into the target and drop it. `columns` as returned by
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
