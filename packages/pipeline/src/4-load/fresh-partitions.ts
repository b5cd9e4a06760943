import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { Day } from '@aduana/contracts/dates'
import { coversAll } from '@aduana/datasets/coverage'
import {
  attachFresh,
  besideTarget,
  buildIndex,
  createFresh,
  dropPartition,
  type ExistingPartition,
  insertFresh,
  isMonth,
  listFresh,
  listIndexes,
  listPartitions,
  lockPartitions,
  type Partition,
  partitionsFor,
  partitionsOver,
} from '@aduana/datasets/partitions'
import { deleteRows, listColumns, targetTable } from '@aduana/datasets/target'
import { interruptible } from '@aduana/db/interruptible'
import { inTransactionOnConnection } from '@aduana/db/single-connection'
import { failPoint } from '@aduana/runtime/fail-points'
import type pg from 'pg'
import { z } from 'zod'
import type { StageJob } from '../stage.ts'
import type { ValidateOutput } from '../stage-outputs.ts'
import { copyRows, type RowMeter, type RowSource } from './copy-rows.ts'
import type { ScopeDays } from './plan.ts'

/**
 * A month whose rows are written into a separate table without indexes. The indexes are then built in bulk, and the
 * load's transaction attaches the table as the partition. A month that is new or replaced as a whole loads about twice
 * as fast this way, and readers see no change until the commit.
 */
export interface FreshPartition {
  partition: Partition
  /** Name of the table, unique to this stage attempt, until it becomes the partition. */
  name: string
  /** Number of rows written into the table: those of the month, or none for an upsert, which merges them afterwards. */
  rows: number
  /** The days whose old rows are removed. */
  days: readonly Day[]
  /** The partition exists, but the load removes all of its rows. */
  replaces: boolean
}

/** Below this number of rows, exchanging an existing partition does not pay. */
const EXCHANGE_FROM_ROWS = 50_000

const Names = z.array(z.object({ name: z.string() }))
const Bound = z.string().nullable()
const Partitions = z.array(
  z.object({ name: z.string(), from: Bound, to: Bound, plain: z.boolean() }),
) satisfies z.ZodType<ExistingPartition[]>
const Indexes = z.array(
  z.object({ definition: z.string(), is_constraint: z.boolean(), is_unique: z.boolean() }),
)
const Survivors = z.tuple([z.object({ removed: z.coerce.number(), survivors: z.coerce.number() })])

/** Returns which months of a load are written into separate tables. `replaced` lists the days whose old rows are removed. */
export async function planFreshPartitions(
  job: StageJob,
  validated: ValidateOutput,
  replaced: readonly ScopeDays[],
): Promise<FreshPartition[]> {
  const { definition, importNo, mode } = job.facts
  if (!definition.partitioned) return []
  const { pool } = job.context
  const existing = await readPartitions(pool, definition)
  const goes = replaced.flatMap(({ days }) => days)
  const fresh: FreshPartition[] = []
  for (const partition of partitionsFor(
    definition,
    validated.days.map(({ day }) => day),
  )) {
    const inMonth = (day: Day) => day >= partition.from && day < partition.to
    const rows =
      mode === 'upsert'
        ? 0
        : validated.days.reduce((sum, entry) => sum + (inMonth(entry.day) ? entry.rows : 0), 0)
    const days = goes.filter(inMonth)
    const [present] = partitionsOver(partition, existing)
    const replaces = present !== undefined
    if (replaces) {
      if (!isMonth(present, partition)) continue
      if (mode !== 'replace-window' || rows < EXCHANGE_FROM_ROWS) continue
      if (definition.replaceScope !== undefined || !coversAll(definition, job.facts)) continue
      if ((await survivors(pool, definition, partition, days)).survivors > 0) continue
    }
    const name = `load_${importNo}_${job.stageAttempt.attempt}_${job.stageAttempt.try}_${partition.from.slice(0, 7).replace('-', '_')}`
    fresh.push({ partition, name, rows, days, replaces })
  }
  return fresh
}

/**
 * Fills the tables of fresh months and runs `use` with them. They are invisible until the load's transaction attaches
 * them as partitions. Drops those that were not attached.
 */
export async function withFreshPartitions(
  job: StageJob,
  fresh: readonly FreshPartition[],
  source: RowSource,
  meter: RowMeter,
  use: () => Promise<void>,
): Promise<void> {
  await dropEarlier(job)
  try {
    await fillAll(job, fresh, source, meter)
    if (fresh.length > 0) await failPoint('load.after-fill', String(job.facts.importNo))
    await use()
  } finally {
    await dropLeftovers(job, fresh)
  }
}

/** Fills two tables at a time, each on its own connection and in its own transaction. */
async function fillAll(
  job: StageJob,
  fresh: readonly FreshPartition[],
  source: RowSource,
  meter: RowMeter,
): Promise<void> {
  const waiting = [...fresh]
  const fillNext = async (): Promise<void> => {
    for (let month = waiting.shift(); month; month = waiting.shift())
      await fill(job, month, source, meter, fresh.length === 1)
  }
  const [one, two] = await Promise.allSettled([fillNext(), fillNext()])
  for (const result of [one, two]) if (result.status === 'rejected') throw result.reason
}

async function fill(
  job: StageJob,
  month: FreshPartition,
  source: RowSource,
  meter: RowMeter,
  alone: boolean,
): Promise<void> {
  const { definition } = job.facts
  await inTransactionOnConnection(job.context.pool, (_tx, client) =>
    interruptible(client, { ...job.context, signal: job.signal }, async () => {
      const began = performance.now()
      // Two tables are filled at a time: more workers for each would compete with one another.
      await client.query(`set local maintenance_work_mem = '128MB'`)
      // The rows come from the engine, which may be busy with another import's file first.
      await client.query(`set local idle_in_transaction_session_timeout = '10min'`)
      if (!alone) await client.query('set local max_parallel_maintenance_workers = 0')
      await client.query(createFresh(definition, month.name, month.partition))
      const part = { rows: month.rows, days: month.partition }
      if (month.rows > 0)
        await copyRows(job, client, source, part, meter, besideTarget(definition, month.name))
      const copied = performance.now()
      const indexes = Indexes.parse((await client.query(listIndexes(definition))).rows)
      for (const index of indexes) await client.query(buildIndex(definition, month.name, index))
      job.context.logger.debug({
        event: 'load.month_filled',
        jobId: job.stageAttempt.jobId,
        month: month.partition.name,
        rows: month.rows,
        copyMilliseconds: Math.round(copied - began),
        indexMilliseconds: Math.round(performance.now() - copied),
      })
    }),
  )
}

/**
 * Drops the tables of earlier stage attempts of the import, which may have lost their connection before they could drop
 * them.
 */
async function dropEarlier({ context: { pool }, facts, stageAttempt }: StageJob): Promise<void> {
  if (stageAttempt.attempt === 1 && stageAttempt.try === 1) return
  const { rows } = await pool.query(listFresh(facts.definition, facts.importNo))
  for (const { name } of Names.parse(rows))
    await pool.query(`drop table if exists ${besideTarget(facts.definition, name)}`)
}

/** Drops the tables that did not become partitions. Housekeeping drops those that cannot be dropped here. */
async function dropLeftovers(job: StageJob, fresh: readonly FreshPartition[]): Promise<void> {
  const { pool, logger } = job.context
  for (const { name } of fresh)
    await pool
      .query(`drop table if exists ${besideTarget(job.facts.definition, name)}`)
      .catch((error: unknown) => logger.warn({ event: 'load.table_left', table: name, err: error }))
}

/**
 * Attaches a filled fresh table as the partition of its month. Returns how many old rows were removed with the
 * partition it replaces.
 */
export async function settleFreshPartition(
  job: StageJob,
  client: pg.PoolClient,
  fresh: FreshPartition,
): Promise<number> {
  const { definition } = job.facts
  await client.query(lockPartitions(definition))
  if (fresh.replaces) return exchange(client, definition, fresh)
  const exists = partitionsOver(fresh.partition, await readPartitions(client, definition)).length > 0
  // Another load has created the month in the meantime, so the rows are added to its partition.
  if (exists) await pour(client, definition, fresh)
  else await execute(client, attachFresh(definition, fresh.name, fresh.partition))
  return 0
}

/**
 * Replaces the partition with the fresh table. This locks the whole target briefly. The wait for that lock is short,
 * because readers that arrive during it are blocked. If the lock is not available, or the month holds rows of other
 * loads, the rows are replaced one by one.
 */
async function exchange(
  client: pg.PoolClient,
  definition: DatasetDefinition,
  fresh: FreshPartition,
): Promise<number> {
  await client.query('savepoint exchange')
  try {
    // Longer than deadlock_timeout, after which PostgreSQL itself cancels a blocking autovacuum.
    await client.query(`set local lock_timeout = '2500ms'`)
    await client.query(`lock table only ${targetTable(definition)} in access exclusive mode`)
    const { removed, survivors: others } = await survivors(client, definition, fresh.partition, fresh.days)
    if (others === 0) {
      // Readers are blocked now. If this process freezes, the server ends the transaction.
      await client.query(`set local idle_in_transaction_session_timeout = '10s'`)
      await execute(client, dropPartition(definition, fresh.partition))
      await execute(client, attachFresh(definition, fresh.name, fresh.partition))
      await client.query(`set local lock_timeout = '15s'`)
      return removed
    }
  } catch (error) {
    if (!isLockTimeout(error)) throw error
  }
  await client.query('rollback to savepoint exchange')
  const removed = await client.query(deleteRows(definition, { days: fresh.days }))
  await pour(client, definition, fresh)
  return removed.rowCount ?? 0
}

async function pour(
  client: pg.PoolClient,
  definition: DatasetDefinition,
  { name }: FreshPartition,
): Promise<void> {
  const columns = Names.parse((await client.query(listColumns(definition))).rows)
  await execute(
    client,
    insertFresh(
      definition,
      name,
      columns.map((column) => column.name),
    ),
  )
}

async function survivors(
  client: pg.Pool | pg.PoolClient,
  definition: DatasetDefinition,
  partition: Partition,
  days: readonly Day[],
): Promise<{ removed: number; survivors: number }> {
  const window = definition.windowColumn ?? ''
  const ours = `${JSON.stringify(window)} = any ($1::date[])`
  const found = await client.query(
    `select count(*) filter (where ${ours}) as removed, count(*) filter (where not ${ours}) as survivors
     from ${besideTarget(definition, partition.name)}`,
    [days],
  )
  return Survivors.parse(found.rows)[0]
}

async function readPartitions(
  client: pg.Pool | pg.PoolClient,
  definition: DatasetDefinition,
): Promise<ExistingPartition[]> {
  return Partitions.parse((await client.query(listPartitions(definition))).rows)
}

async function execute(client: pg.PoolClient, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await client.query(statement)
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '55P03'
}
