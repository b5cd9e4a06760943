import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { type DayRange, daysBetween } from '@aduana/contracts/dates'
import { unionOfDays } from '../expressions/days.ts'
import { groupBy } from '../group-by.ts'
import type { AggregateRequest } from './plan.ts'

/** Aggregates that one scan of their dataset computes. */
export interface ScanGroup {
  definition: DatasetDefinition
  days: DayRange[]
  requests: AggregateRequest[]
}

/** The cost of reading a row, in units of one aggregate computed from it. */
const ROW_COST = 10

/**
 * Returns the scans to run: one per dataset, unless some aggregates need so many more days than others that reading
 * the few days twice is cheaper.
 */
export function scanGroups(requests: readonly AggregateRequest[]): ScanGroup[] {
  const byDataset = groupBy(requests, (request) => request.series.datasetId)
  return [...byDataset.values()].flatMap((its) => mergeDays(groupsByDays(its)))
}

function groupsByDays(requests: readonly AggregateRequest[]): ScanGroup[] {
  const byDays = groupBy(requests, ({ days }) => JSON.stringify(days))
  return [...byDays.values()].flatMap((its) => {
    const [first] = its
    return first ? [{ definition: first.series.definition, days: first.days, requests: its }] : []
  })
}

function mergeDays(groups: readonly ScanGroup[]): ScanGroup[] {
  const merged = groups.toSorted((a, b) => lengthOf(a.days) - lengthOf(b.days))
  for (let best = bestPair(merged); best; best = bestPair(merged)) {
    const { left, right, union } = best
    merged.splice(right, 1)
    merged.splice(left, 1, union)
  }
  return merged
}

/** Returns the neighbours whose merge saves most, if one saves anything. Neighbours are the most similar groups. */
function bestPair(groups: readonly ScanGroup[]) {
  let best: { left: number; right: number; union: ScanGroup; saved: number } | undefined
  for (const [left, a] of groups.entries()) {
    const b = groups[left + 1]
    if (!b) break
    const union = {
      definition: a.definition,
      days: unionOfDays([...a.days, ...b.days]),
      requests: [...a.requests, ...b.requests],
    }
    const saved = costOf(a) + costOf(b) - costOf(union)
    if (saved >= (best?.saved ?? 0)) best = { left, right: left + 1, union, saved }
  }
  return best
}

function costOf(group: ScanGroup): number {
  // Aggregates that differ only by their condition are computed from the rows once.
  const gathered = new Set(
    group.requests.map(({ op, series, by }) => JSON.stringify([op, series.code, by?.code])),
  )
  return lengthOf(group.days) * (ROW_COST + gathered.size)
}

/** Returns the number of days. */
export function lengthOf(days: readonly DayRange[]): number {
  return days.reduce((sum, { from, to }) => sum + daysBetween(from, to), 0)
}
