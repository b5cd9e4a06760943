import { addDays, type Day } from '@aduana/contracts/dates'
import { besideTarget } from '@aduana/datasets/partitions'
import { deleteRows } from '@aduana/datasets/target'
import { createStageTable, mergeStage, stageTable } from '@aduana/datasets/upsert'
import { failPoint } from '@aduana/runtime/fail-points'
import type pg from 'pg'
import { z } from 'zod'
import type { StageJob } from '../stage.ts'
import { copyRows, type RowMeter } from './copy-rows.ts'
import { createFreshPartitions, type FreshPartition, settleFreshPartition } from './fresh-partitions.ts'
import type { Publishing } from './publishing.ts'

/** Rows that a load changed in the target. */
export interface Written {
  inserted: number
  updated: number
  unchanged: number
  removed: number
}

const Merged = z.tuple([
  z.object({ inserted: z.coerce.number(), updated: z.coerce.number(), unchanged: z.coerce.number() }),
])

/** Write the rows into the target by the mode of the import, inside the load's transaction. Every one or none. */
export async function writeRows(
  job: StageJob,
  client: pg.PoolClient,
  publishing: Publishing,
): Promise<Written> {
  const meter: RowMeter = { copied: 0, total: publishing.validated.clean }
  const written =
    job.facts.mode === 'upsert'
      ? await upsert(job, client, publishing, meter)
      : await insert(job, client, publishing, meter)
  if (meter.copied !== meter.total)
    throw new Error(`${meter.total} rows were accepted, but ${meter.copied} arrived in the table`)
  return written
}

/** Replace-window deletes what the window holds, then inserts; append only inserts. */
async function insert(
  job: StageJob,
  client: pg.PoolClient,
  publishing: Publishing,
  meter: RowMeter,
): Promise<Written> {
  const { definition } = job.facts
  const { source, validated } = publishing
  const replaced = job.facts.mode === 'replace-window' ? replacedDays(job, publishing) : []
  const fresh = await createFreshPartitions(
    job,
    client,
    validated,
    replaced.flatMap(({ days }) => days),
  )
  let removed = await deleteOld(job, client, replaced, fresh)
  await failPoint('load.after-delete')
  for (const month of fresh) {
    await copyRows(
      job,
      client,
      source,
      { rows: month.rows, days: month.partition },
      meter,
      besideTarget(definition, month.name),
    )
    removed += await settleFreshPartition(job, client, month)
  }
  for (const part of remaining(publishing, fresh)) await copyRows(job, client, source, part, meter)
  return { inserted: meter.copied, updated: 0, unchanged: 0, removed }
}

interface ScopeDays {
  scope: string
  days: Day[]
}

/** A declared window is replaced as a whole; otherwise only the days that the accepted rows bring. */
function replacedDays(job: StageJob, { windows, validated }: Publishing): ScopeDays[] {
  const { window } = job.facts
  return windows.map(({ scope }) => ({
    scope,
    days: window
      ? daysOf(window.from, window.to)
      : validated.days.filter((entry) => entry.scope === scope).map(({ day }) => day),
  }))
}

function daysOf(from: Day, to: Day): Day[] {
  const days: Day[] = []
  for (let day = from; day < to; day = addDays(day, 1)) days.push(day)
  return days
}

/** Delete the old rows, but for the months that are exchanged as a whole. */
async function deleteOld(
  job: StageJob,
  client: pg.PoolClient,
  replaced: readonly ScopeDays[],
  fresh: readonly FreshPartition[],
): Promise<number> {
  const { definition } = job.facts
  let removed = 0
  for (const { scope, days } of replaced) {
    const here = days.filter(
      (day) => !fresh.some(({ partition }) => day >= partition.from && day < partition.to),
    )
    if (here.length === 0) continue
    const selection = { days: here, ...(definition.replaceScope === undefined ? {} : { scope }) }
    removed += (await client.query(deleteRows(definition, selection))).rowCount ?? 0
  }
  return removed
}

type Part = Parameters<typeof copyRows>[3]

/** The rows that no fresh table takes: all of them, or those of the months between. */
function remaining({ validated }: Publishing, fresh: readonly FreshPartition[]): Part[] {
  if (fresh.length === 0) return [{ rows: validated.clean }]
  const months = new Map<string, { rows: number; from: Day; to: Day }>()
  for (const { day, rows } of validated.days) {
    if (fresh.some(({ partition }) => day >= partition.from && day < partition.to)) continue
    const from = `${day.slice(0, 7)}-01`
    const month = months.get(from) ?? { rows: 0, from, to: `${addDays(from, 31).slice(0, 7)}-01` }
    months.set(from, { ...month, rows: month.rows + rows })
  }
  return [...months.values()].map(({ rows, from, to }) => ({ rows, days: { from, to } }))
}

async function upsert(
  job: StageJob,
  client: pg.PoolClient,
  { source, validated }: Publishing,
  meter: RowMeter,
): Promise<Written> {
  const { definition } = job.facts
  await client.query(createStageTable(definition))
  await copyRows(job, client, source, { rows: validated.clean }, meter, stageTable(definition))
  const [merged] = Merged.parse((await client.query(mergeStage(definition))).rows)
  return { ...merged, removed: 0 }
}
