import type { DayRange } from '@aduana/contracts/dates'
import type { RegisteredDataset } from '@aduana/datasets/registry'
import type { DatasetChange, DatasetDependents, FollowChange } from '@aduana/datasets/save/dependents'
import type { Tx } from '@aduana/db/database'
import { assertNoActiveJobs, rebuildLedger } from '@aduana/jobs/windows/placement'
import type { SeriesPlaces } from '@aduana/metric-compute/series-place'
import { lockGraphExclusive } from '../runs/locks.ts'
import { assertMetricsRemainValid, metricsWithNewMeaning, withDefinition } from './dataset-metrics.ts'
import { activeDefinitions, dependentsOf, type MetricGraph, readGraph, resolveNeeds } from './graph.ts'
import { daysOfDataset, recompute } from './recompute.ts'

/**
 * What depends on datasets. Metrics over its series must remain valid; those whose meaning changes are recomputed, with
 * their dependents. Rows move only while the dataset has no open jobs, and its window ledger is rebuilt.
 */
export const DATASET_DEPENDENTS: DatasetDependents = { lock: lockGraphExclusive, check }

async function check(tx: Tx, change: DatasetChange): Promise<FollowChange> {
  const { before, definition, moves } = change
  const graph = await readGraph(tx)
  const { places, lost } = withDefinition(graph.places, before.id, definition)
  assertMetricsRemainValid(activeDefinitions(graph), places, lost, definition)
  if (moves) await assertNoActiveJobs(tx, before)
  return async (saved) => {
    if (moves) await rebuildLedger(tx, saved)
    await recomputeShifted(tx, change, saved, graph, places)
  }
}

/** Recomputes the metrics whose meaning a change affects, for the days that the dataset had before and has after it. */
async function recomputeShifted(
  tx: Tx,
  { before, moves }: DatasetChange,
  saved: RegisteredDataset,
  graph: MetricGraph,
  places: SeriesPlaces,
): Promise<void> {
  const active = activeDefinitions(graph)
  const shifted = metricsWithNewMeaning(active, graph.places, before.definition, saved)
  const needs = resolveNeeds(active, places)
  // Dependents are included. Otherwise they would wait for updates of datasets that none was announced for.
  const codes = [...shifted, ...dependentsOf(needs, shifted)]
  const formerDays = moves ? await daysOfDataset(tx, before.definition) : undefined
  await recompute(tx, {
    metrics: codes.flatMap((code) => graph.metrics.get(code) ?? []),
    places,
    needs,
    formerDays: new Map<string, DayRange>(formerDays ? [[saved.code, formerDays]] : []),
  })
}
