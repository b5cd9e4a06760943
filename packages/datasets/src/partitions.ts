import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Day } from '@aduana/contracts/dates'
import { lit, quoteIdentifier } from './literals.ts'
import { targetTable } from './target.ts'

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

/** Statement that lets one transaction at a time make partitions of the target; the others wait for its end. */
export function lockPartitions(definition: DatasetDefinition): string {
  return `select pg_advisory_xact_lock(hashtextextended(${lit(`partitions of ${targetTable(definition)}`)}, 0))`
}

/** Rows `{name}`: the partitions that the target has. */
export function listPartitions(definition: DatasetDefinition): string {
  return `select child.relname::text as name from pg_catalog.pg_inherits join pg_catalog.pg_class child on child.oid = inhrelid where inhparent = ${lit(targetTable(definition))}::regclass order by 1`
}

/**
 * The statements that make one partition and attach it; readers and writers of the others are not held up. The check
 * constraint spares PostgreSQL the scan at the attachment and goes afterwards. No grants: only the parent, whose
 * row security holds, is for reading.
 */
export function createPartition(definition: DatasetDefinition, partition: Partition): string[] {
  if (!definition.partitioned || definition.windowColumn === undefined)
    throw new Error(`"${definition.code}" is not partitioned`)
  const table = `${quoteIdentifier(definition.table.schema)}.${quoteIdentifier(partition.name)}`
  const parent = targetTable(definition)
  const day = quoteIdentifier(definition.windowColumn)
  const [from, to] = [lit(partition.from), lit(partition.to)]
  return [
    `create table if not exists ${table} (like ${parent} including all)`,
    `revoke all on table ${table} from public`,
    `alter table ${table} drop constraint if exists "month_of_partition"`,
    `alter table ${table} add constraint "month_of_partition" check (${day} >= date ${from} and ${day} < date ${to})`,
    `alter table ${parent} attach partition ${table} for values from (${from}) to (${to})`,
    `alter table ${table} drop constraint "month_of_partition"`,
  ]
}

function monthAfter(month: string): string {
  const date = new Date(`${month}-01T00:00:00Z`)
  date.setUTCMonth(date.getUTCMonth() + 1)
  return date.toISOString().slice(0, 7)
}
