import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { createPartition, listPartitions, lockPartitions, partitionsFor } from '@aduana/datasets/partitions'
import type pg from 'pg'
import { z } from 'zod'
import type { ValidateOutput } from '../stage-outputs.ts'

const Names = z.array(z.object({ name: z.string() }))

/** Make the monthly partitions that the rows need, in a short transaction of their own; readers are not held up. */
export async function ensurePartitions(
  pool: pg.Pool,
  definition: DatasetDefinition,
  validated: ValidateOutput,
): Promise<void> {
  if (!definition.partitioned) return
  const needed = partitionsFor(
    definition,
    validated.days.map(({ day }) => day),
  )
  if ((await missing(pool, definition, needed)).length === 0) return
  const client = await pool.connect()
  try {
    await client.query('begin')
    await client.query(lockPartitions(definition))
    for (const partition of await missing(client, definition, needed))
      for (const statement of createPartition(definition, partition)) await client.query(statement)
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}

type Needed = ReturnType<typeof partitionsFor>

async function missing(
  db: pg.Pool | pg.PoolClient,
  definition: DatasetDefinition,
  needed: Needed,
): Promise<Needed> {
  const result = await db.query(listPartitions(definition))
  const there = new Set(Names.parse(result.rows).map(({ name }) => name))
  return needed.filter(({ name }) => !there.has(name))
}
