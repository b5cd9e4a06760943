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
import { inTransactionOnConnection } from '@aduana/db/single-connection'
import { failPoint } from '@aduana/runtime/fail-points'
import type pg from 'pg'
import { z } from 'zod'
import type { StageJob } from '../stage.ts'
import type { ValidateOutput } from '../stage-outputs.ts'
import { copyRows, type RowMeter } from './copy-rows.ts'
import { interruptible } from './interruptible.ts'
import type { ScopeDays } from './replaced-days.ts'
import type { RowSource } from './row-files.ts'

/**
 * A month whose rows are written into a table of their own, without indexes, which are then built in bulk; the load's
 * transaction makes the table the partition. So a new month, or one that is replaced as a whole, loads about twice as
 * fast as row by row into indexes, and readers notice nothing until the commit.
 */
export interface FreshPartition {
  partition: Partition
  /** Name of the table, of this run alone, until it becomes the partition. */
  name: string
  /** Rows that are written into the table: those of the month, none of an upsert, which merges them afterwards. */
  rows: number
  /** The days whose old rows go. */
  days: readonly Day[]
  /** The partition exists, but none of its rows outlives the load. */
  replaces: boolean
}

/** Fewer rows are not worth an exchange with a partition that exists. */
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

/** Which months of a load are written into tables of their own. `replaced` are the days whose old rows go. */
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
    const name = `load_${importNo}_${job.run.attempt}_${job.run.try}_${partition.from.slice(0, 7).replace('-', '_')}`
    fresh.push({ partition, name, rows, days, replaces })
  }
  return fresh
}

/**
 * Fill the tables of fresh months, and run `use` with them. Nobody sees them before the load's transaction makes them
 * partitions; those that do not get there are dropped.
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

/** Two tables at a time, each on a connection and in a transaction of its own. */
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
    interruptible(job, client, async () => {
      const began = performance.now()
      // Two tables are filled at a time: more workers for each would only get in each other's way.
      await client.query(`set local maintenance_work_mem = '128MB'`)
      // The rows are written by the engine, which may be at another import's file first.
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
        jobId: job.run.jobId,
        month: month.partition.name,
        rows: month.rows,
        copyMilliseconds: Math.round(copied - began),
        indexMilliseconds: Math.round(performance.now() - copied),
      })
    }),
  )
}

/** Drops the tables of earlier runs of the import, which may have lost their connection before they could drop them. */
async function dropEarlier({ context: { pool }, facts, run }: StageJob): Promise<void> {
  if (run.attempt === 1 && run.try === 1) return
  const { rows } = await pool.query(listFresh(facts.definition, facts.importNo))
  for (const { name } of Names.parse(rows))
    await pool.query(`drop table if exists ${besideTarget(facts.definition, name)}`)
}

/** Drop the tables that did not become partitions. What cannot be dropped now is left to housekeeping. */
async function dropLeftovers(job: StageJob, fresh: readonly FreshPartition[]): Promise<void> {
  const { pool, logger } = job.context
  for (const { name } of fresh)
    await pool
      .query(`drop table if exists ${besideTarget(job.facts.definition, name)}`)
      .catch((error: unknown) => logger.warn({ event: 'load.table_left', table: name, err: error }))
}

/** Make a filled fresh table the partition of its month. Answers how many old rows went with the one it replaces. */
export async function settleFreshPartition(
  job: StageJob,
  client: pg.PoolClient,
  fresh: FreshPartition,
): Promise<number> {
  const { definition } = job.facts
  await client.query(lockPartitions(definition))
  if (fresh.replaces) return exchange(client, definition, fresh)
  const exists = partitionsOver(fresh.partition, await readPartitions(client, definition)).length > 0
  // Another load has made the month in the meantime: the rows join its.
  if (exists) await pour(client, definition, fresh)
  else await run(client, attachFresh(definition, fresh.name, fresh.partition))
  return 0
}

/**
 * Put the fresh table in the place of the partition. That locks the whole target for a moment, for which we wait only
 * briefly: while we wait, nobody else can begin to read. When it is not to be had, or rows that are not ours have come
 * into the month, the rows are replaced one by one.
 */
async function exchange(
  client: pg.PoolClient,
  definition: DatasetDefinition,
  fresh: FreshPartition,
): Promise<number> {
  await client.query('savepoint exchange')
  try {
    // Longer than deadlock_timeout, after which PostgreSQL itself ends an autovacuum that stands in the way.
    await client.query(`set local lock_timeout = '2500ms'`)
    await client.query(`lock table only ${targetTable(definition)} in access exclusive mode`)
    const { removed, survivors: others } = await survivors(client, definition, fresh.partition, fresh.days)
    if (others === 0) {
      // Nobody can read now: should we be frozen, the server ends it.
      await client.query(`set local idle_in_transaction_session_timeout = '10s'`)
      await run(client, dropPartition(definition, fresh.partition))
      await run(client, attachFresh(definition, fresh.name, fresh.partition))
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
  await run(
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

async function run(client: pg.PoolClient, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await client.query(statement)
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '55P03'
}
