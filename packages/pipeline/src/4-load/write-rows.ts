import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { addDays, Day } from '@aduana/contracts/dates'
import { counted, figure } from '@aduana/contracts/figures'
import { coversAll, unionOfLists } from '@aduana/datasets/coverage'
import { deleteRows, deleteRowsByDay } from '@aduana/datasets/target'
import {
  createStageTable,
  foreignKeys,
  mergeStage,
  placesBefore,
  sameVersion,
  stageTable,
} from '@aduana/datasets/upsert'
import type { Tx } from '@aduana/db/database'
import type { Lease } from '@aduana/jobs/windows/leases'
import { failPoint } from '@aduana/runtime/fail-points'
import type pg from 'pg'
import { z } from 'zod'
import { RefusedError, TryAgainError } from '../failure.ts'
import type { StageJob } from '../stage.ts'
import { type BeforeImage, imageOfChanged } from './before-image.ts'
import { copyRows, type RowMeter, type RowSource } from './copy-rows.ts'
import { assertForeignKeys, beforeAppend, type FoundRows } from './existing-rows.ts'
import { type FreshPartition, settleFreshPartition } from './fresh-partitions.ts'
import { LedgerEntry } from './ledger.ts'
import { type LoadPlan, selectionsOf } from './plan.ts'

/** What is published, and under which lease. */
export interface Publishing {
  lease: Lease
  plan: LoadPlan
  source: RowSource
  /** Months whose rows are already in separate tables. */
  fresh: readonly FreshPartition[]
  /** The before-image of the rows that a replacing load is about to delete. */
  image: BeforeImage
  meter: RowMeter
  /** Throws if what was approved differs from what was written. */
  confirm?: (tx: Tx) => Promise<void>
}

const List = z.array(z.string()).nullable()

/** The days, companies and warehouses of some rows. Null means unknown, which stands for all. */
export const Places = z.object({ days: z.array(Day).nullable(), companies: List, warehouses: List })
export type Places = z.infer<typeof Places>

/** The rows that a load changed in the target. */
export interface Written {
  inserted: number
  updated: number
  unchanged: number
  removed: number
  /** The number of rows removed from each day, where other imports may hold rows of the same day. */
  removedDays?: LedgerEntry[]
  /** The before-image of the rows that were removed or changed. */
  image: BeforeImage
  /** Where rows changed, if the statement that wrote them reports it, as that of an upsert does. */
  places?: Places
  /** What the load found among the existing rows. */
  met: FoundRows
}

const Merged = z.tuple([
  Places.extend({
    inserted: z.coerce.number(),
    updated: z.coerce.number(),
    unchanged: z.coerce.number(),
  }),
])

/** Writes the rows into the target by the mode of the import, in the load's transaction. Writes all of them or none. */
export async function writeRows(
  job: StageJob,
  client: pg.PoolClient,
  publishing: Publishing,
): Promise<Written> {
  const written =
    job.facts.mode === 'upsert'
      ? await upsert(job, client, publishing)
      : await insert(job, client, publishing)
  const { meter } = publishing
  if (meter.copied !== meter.total)
    throw new RefusedError({
      code: 'constraint_violated',
      detail: `${counted(meter.total, 'row')} ${meter.total === 1 ? 'was' : 'were'} accepted, but ${figure(meter.copied)} arrived in the table. Nothing was changed. A trigger of the table may skip rows. Remove the trigger and retry the job.`,
    })
  const gone = written.removed + written.updated
  if (gone !== written.image.rows)
    throw new TryAgainError(`the before-image has ${written.image.rows} rows, but ${gone} were replaced`)
  return written
}

/**
 * Deletes, for replace-window, the rows of the job's companies and warehouses in the window, then inserts. For append,
 * only inserts.
 */
async function insert(job: StageJob, client: pg.PoolClient, publishing: Publishing): Promise<Written> {
  const countPresent = await beforeAppend(job, client, publishing.plan)
  const deleted = await deleteOld(job, client, publishing)
  await failPoint('load.after-delete', String(job.facts.importNo))
  for (const part of remaining(publishing))
    await copyRows(job, client, publishing.source, part, publishing.meter)
  let { removed } = deleted
  // Done last, because it may block readers of the target.
  for (const month of publishing.fresh) removed += await settleFreshPartition(job, client, month)
  const { image, meter } = publishing
  const met = { ...NONE_FOUND, alreadyPresent: await countPresent() }
  return { ...deleted, inserted: meter.copied, updated: 0, unchanged: 0, removed, image, met }
}

const Removed = z.array(LedgerEntry)

/** Deletes the old rows, except those of months that are exchanged as a whole. */
async function deleteOld(
  job: StageJob,
  client: pg.PoolClient,
  { plan, fresh }: Publishing,
): Promise<Pick<Written, 'removed' | 'removedDays'>> {
  const { definition } = job.facts
  const here = plan.replaced.map(({ scope, days }) => ({
    scope,
    days: days.filter((day) => !isFresh(day, fresh)),
  }))
  const selections = selectionsOf(job, here)
  if (coversAll(definition, job.facts)) {
    let removed = 0
    for (const selection of selections)
      removed += (await client.query(deleteRows(definition, selection))).rowCount ?? 0
    return { removed }
  }
  const removedDays: LedgerEntry[] = []
  for (const selection of selections)
    removedDays.push(...Removed.parse((await client.query(deleteRowsByDay(definition, selection))).rows))
  return { removed: removedDays.reduce((sum, { rows }) => sum + rows, 0), removedDays }
}

type Part = Parameters<typeof copyRows>[3]

/** Returns the rows that no fresh table takes: all of them, or those of the months between. */
function remaining({ plan: { validated }, fresh }: Publishing): Part[] {
  if (fresh.length === 0) return [{ rows: validated.clean }]
  const months = new Map<string, { rows: number; from: Day; to: Day }>()
  for (const { day, rows } of validated.days) {
    if (isFresh(day, fresh)) continue
    const from = `${day.slice(0, 7)}-01`
    const month = months.get(from) ?? { rows: 0, from, to: `${addDays(from, 31).slice(0, 7)}-01` }
    months.set(from, { ...month, rows: month.rows + rows })
  }
  return [...months.values()].map(({ rows, from, to }) => ({ rows, days: { from, to } }))
}

function isFresh(day: Day, fresh: readonly FreshPartition[]): boolean {
  return fresh.some(({ partition }) => day >= partition.from && day < partition.to)
}

async function upsert(
  job: StageJob,
  client: pg.PoolClient,
  { source, plan: { validated }, meter, fresh }: Publishing,
): Promise<Written> {
  const { definition } = job.facts
  for (const month of fresh) await settleFreshPartition(job, client, month)
  await client.query(createStageTable(definition))
  await copyRows(job, client, source, { rows: validated.clean }, meter, stageTable(definition))
  await refuseForeignKeys(job, client)
  const image = await imageOfChanged(job, client)
  const met = { ...NONE_FOUND, sameVersion: await countSameVersion(definition, client) }
  const [merged] = Merged.parse((await client.query(mergeStage(definition))).rows)
  const { inserted, updated, unchanged, ...now } = merged
  const [before] = z.tuple([Places]).parse((await client.query(placesBefore(definition))).rows)
  return { inserted, updated, unchanged, removed: 0, image, places: bothPlaces(now, before), met }
}

/** Returns the union of two sets of places. */
export function bothPlaces(one: Places, other: Places): Places {
  return {
    days: unionOfLists([one.days, other.days]),
    companies: unionOfLists([one.companies, other.companies]),
    warehouses: unionOfLists([one.warehouses, other.warehouses]),
  }
}

const NONE_FOUND: FoundRows = { alreadyPresent: 0, sameVersion: { rows: 0, example: null } }

async function countSameVersion(
  definition: DatasetDefinition,
  client: pg.PoolClient,
): Promise<FoundRows['sameVersion']> {
  const query = sameVersion(definition)
  return query === undefined ? NONE_FOUND.sameVersion : Foreign.parse((await client.query(query)).rows)[0]
}

const Foreign = z.tuple([z.object({ rows: z.coerce.number(), example: z.string().nullable() })])

/** Rejects an upsert that would change rows of a company or warehouse that the uploader has no access to. */
async function refuseForeignKeys(job: StageJob, client: pg.PoolClient): Promise<void> {
  const { definition, companies, warehouses } = job.facts
  const query = foreignKeys(definition, { companies, warehouses })
  if (query === undefined) return
  const [found] = Foreign.parse((await client.query(query)).rows)
  assertForeignKeys(found)
}
