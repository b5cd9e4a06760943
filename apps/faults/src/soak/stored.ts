import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestSystem } from '@aduana/testkit/system'
import { z } from 'zod'

/** A number of items, and their bytes. */
export interface Amount {
  count: number
  bytes: number
}
export type Amounts = Record<string, Amount>

/** Everything that an installation has stored at a moment. */
export interface Stored {
  /** Rows of each table, with its indexes. */
  tables: Amounts
  /** Keys of each queue in Redis. */
  keys: Record<string, number>
  /** Files of each folder of the data folder. */
  files: Amounts
}

/** Measures everything that an installation has stored. */
export async function measureStored(system: TestSystem): Promise<Stored> {
  const [tables, keys, files] = await Promise.all([
    measureTables(system),
    countKeys(system),
    measureFiles(system.dataDir),
  ])
  return { tables, keys, files }
}

const Tables = z.array(z.object({ name: z.string(), bytes: z.coerce.number() }))
const Count = z.tuple([z.object({ rows: z.coerce.number() })])

/** Measures the tables. Partitions count towards their table. */
async function measureTables({ database: { pool } }: TestSystem): Promise<Amounts> {
  await pool.query('vacuum')
  const found = await pool.query(
    `select c.oid::regclass::text as name, coalesce((select sum(pg_total_relation_size(p.relid))
       from pg_partition_tree(c.oid) p), pg_total_relation_size(c.oid)) as bytes
     from pg_class c where c.relkind in ('r', 'p') and not c.relispartition
       and c.relnamespace = 'public'::regnamespace order by 1`,
  )
  const amounts: Amounts = {}
  for (const { name, bytes } of Tables.parse(found.rows)) {
    const [{ rows }] = Count.parse((await pool.query(`select count(*) as rows from ${name}`)).rows)
    amounts[name] = { count: rows, bytes }
  }
  return amounts
}

async function countKeys({ redis: { redis, prefix } }: TestSystem): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  let cursor = '0'
  do {
    const [next, keys] = await redis.scan(cursor, 'MATCH', `${prefix.replace(/[{}]/g, '?')}*`, 'COUNT', 1000)
    for (const key of keys) {
      const queue = key.slice(prefix.length + 1).split(':')[0] ?? ''
      counts[queue] = (counts[queue] ?? 0) + 1
    }
    cursor = next
  } while (cursor !== '0')
  return counts
}

async function measureFiles(dataDir: string): Promise<Amounts> {
  const amounts: Amounts = {}
  for (const entry of await readdir(dataDir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const folder = path.slice(dataDir.length + 1).split('/')[0] ?? ''
    const amount = amounts[folder] ?? { count: 0, bytes: 0 }
    amounts[folder] = { count: amount.count + 1, bytes: amount.bytes + (await sizeOf(path)) }
  }
  return amounts
}

/** Returns the size of a file, or 0 if it was removed during the read. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch {
    return 0
  }
}
