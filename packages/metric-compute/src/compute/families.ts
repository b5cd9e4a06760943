import { columnOf } from '../expressions/series-kind.ts'
import { groupBy } from '../group-by.ts'
import type { SeriesPlaces } from '../series-place.ts'
import { type Atom, atomsOf, atomText, fewValues, isMembership, placeOf } from './conditions.ts'
import type { AggregateRequest } from './plan.ts'

/** With more key combinations per day and cell, there would be nearly as many groups as rows. */
const MAX_COMBINATIONS = 2000

/**
 * Groups aggregates that are computed from the same grouped rows: their conditions use the same columns, a subset of
 * them, or columns with so few values that all combinations remain few.
 */
export function familiesOf(
  requests: readonly AggregateRequest[],
  places: SeriesPlaces,
): AggregateRequest[][] {
  const values = valuesBySeries(requests, places)
  const bySeries = groupBy(requests, (request) =>
    [...new Set(atomsOf(request.where).map(({ series }) => series))].sort().join(' '),
  )
  const sets = [...bySeries]
    .map(([key, its]) => ({ series: new Set(key.split(' ').filter(Boolean)), requests: its }))
    .sort((a, b) => b.series.size - a.series.size)
  const families: typeof sets = []
  for (const { series, requests: its } of sets) {
    const fitting = families.find((family) => {
      const union = new Set([...family.series, ...series])
      if (union.size === family.series.size) return true
      return [...union].reduce((product, name) => product * (values.get(name) ?? 1), 1) <= MAX_COMBINATIONS
    })
    if (!fitting) families.push({ series, requests: [...its] })
    else {
      fitting.requests.push(...its)
      for (const name of series) fitting.series.add(name)
    }
  }
  return families.map((family) => family.requests)
}

/** Returns the maximum number of values of each series that the conditions distinguish. */
function valuesBySeries(requests: readonly AggregateRequest[], places: SeriesPlaces): Map<string, number> {
  const atoms = new Map(requests.flatMap(({ where }) => atomsOf(where)).map((atom) => [atomText(atom), atom]))
  const values = new Map<string, number>()
  for (const [series, its] of groupBy(atoms.values(), (atom) => atom.series)) {
    const column = columnOf(placeOf(series, places))
    if (!column) continue
    const named = its.reduce((sum, atom) => sum + countOf(atom), 0)
    const all = its.every((atom) => isMembership(column, atom))
    values.set(series, fewValues(column) ?? (all ? named + 2 : 2 * named + 1))
  }
  return values
}

function countOf(atom: Atom): number {
  return atom.op === 'in' ? atom.values.length : 1
}
