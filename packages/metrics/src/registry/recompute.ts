import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { type DayRange, nextDay } from '@aduana/contracts/dates'
import { targetName, targetTable } from '@aduana/datasets/target'
import type { Tx } from '@aduana/db/database'
import { toMultirange } from '@aduana/metric-compute/expressions/multirange'
import { groupBy } from '@aduana/metric-compute/group-by'
import type { SeriesPlaces } from '@aduana/metric-compute/series-place'
import { sql } from 'kysely'
import { lockRuns, lockWithDependents } from '../runs/locks.ts'
import { scheduleRuns, type TargetedChange } from '../runs/schedule.ts'
import type { Needs, RegisteredMetric } from './graph.ts'

/** Metrics whose computation changed. */
export interface Recomputation {
  metrics: readonly RegisteredMetric[]
  places: SeriesPlaces
  needs: ReadonlyMap<string, Needs>
  /** The days that a dataset had before its day column changed, by its code. */
  formerDays?: ReadonlyMap<string, DayRange>
}

/** Recomputes metrics for all days on which their datasets have rows, followed by their dependents. */
export async function recompute(tx: Tx, work: Recomputation): Promise<void> {
  if (work.metrics.length === 0) return
  const locked = await lockWithDependents(
    tx,
    work.metrics.map(({ id }) => id),
  )
  await lockRuns(tx, [], locked)
  await scheduleRuns(tx, await changesOf(tx, work), locked)
}

/** Returns changes for all days on which the datasets have rows, so that no value of an older version remains. */
async function changesOf(tx: Tx, work: Recomputation): Promise<TargetedChange[]> {
  const { metrics, places, needs, formerDays } = work
  const definitions = new Map<string, DatasetDefinition>()
  for (const { definition } of places.values()) definitions.set(definition.code, definition)
  const known = new Map<string, DayRange | undefined>()
  const changes: { id: string; days: string }[] = []
  for (const { id, code } of metrics) {
    const ranges: DayRange[] = []
    for (const dataset of needs.get(code)?.datasets.keys() ?? []) {
      const definition = definitions.get(dataset)
      if (definition && !known.has(dataset)) known.set(dataset, await daysOfDataset(tx, definition))
      for (const range of [known.get(dataset), formerDays?.get(dataset)]) if (range) ranges.push(range)
    }
    if (ranges.length > 0) changes.push({ id, days: toMultirange(ranges) })
  }
  const occurredAt = new Date()
  return [...groupBy(changes, ({ days }) => days)].map(([days, group]) => ({
    change: {
      cause: 'definition',
      occurredAt,
      days,
      companies: null,
      warehouses: null,
      waitForDatasets: false,
    },
    metricIds: group.map(({ id }) => id),
  }))
}

/** Returns the days from the first row of a dataset to the last; undefined when it has no rows or no day column. */
export async function daysOfDataset(tx: Tx, definition: DatasetDefinition): Promise<DayRange | undefined> {
  const window = definition.columns.find(({ name }) => name === definition.windowColumn)
  if (!window) return undefined
  const column = sql.ref(targetName(definition, window.name))
  const day = (value: typeof column) =>
    window.type === 'timestamp' ? sql`(${value} at time zone ${window.timeZone})::date` : value
  const rows = await sql<{ first: string | null; last: string | null }>`
    select ${day(sql`min(${column})`)}::text as first, ${day(sql`max(${column})`)}::text as last
    from ${sql.raw(targetTable(definition))}`.execute(tx)
  const { first, last } = rows.rows[0] ?? {}
  return first && last ? { from: first, to: nextDay(last) } : undefined
}
