import type { MetricRunRequest } from '@aduana/contracts/metrics/events'
import type { Expression } from '@aduana/contracts/metrics/expression'
import { targetName } from '@aduana/datasets/target'
import { referencesOf } from '@aduana/metric-compute/expressions/references'
import type { SeriesPlace, SeriesPlaces } from '@aduana/metric-compute/series-place'

type Entry = MetricRunRequest['catalogue'][number]

/** The series that an expression needs, and where a runner finds them. */
export function catalogueOf(expression: Expression, places: SeriesPlaces): Entry[] {
  const codes = [...new Set(referencesOf(expression).series.map(({ code }) => code))]
  return codes.flatMap((code) => {
    const place = places.get(code)
    return place ? [entryOf(place)] : []
  })
}

function entryOf({ code, definition, column }: SeriesPlace): Entry {
  const source = definition.columns.find(({ name }) => name === column)
  const day = definition.columns.find(({ name }) => name === definition.windowColumn)
  const dimension = source?.type === 'text' ? source.dimension : undefined
  return {
    series: code,
    dataset: definition.code,
    table: `${definition.table.schema}.${definition.table.name}`,
    column: column === null ? null : targetName(definition, column),
    ...(dimension ? { dimension: { table: dimension.table, key: dimension.key } } : {}),
    dayColumn: definition.windowColumn ?? '',
    ...(day?.type === 'timestamp' ? { timeZone: day.timeZone } : {}),
  }
}
