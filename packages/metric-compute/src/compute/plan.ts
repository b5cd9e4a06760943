import type { DayRange } from '@aduana/contracts/dates'
import type { Grain, MetricDefinition } from '@aduana/contracts/metrics/definition'
import type { Expression, RowCondition } from '@aduana/contracts/metrics/expression'
import { unionOfDays } from '../expressions/days.ts'
import { inputNeeds, reachOf } from '../expressions/reach.ts'
import { expressionsIn } from '../expressions/walk.ts'
import type { SeriesPlace, SeriesPlaces } from '../series-place.ts'
import { flatten } from './flatten.ts'

/** A run to compute. */
export interface RunToCompute {
  runId: string
  definition: MetricDefinition
  /** Days on which its inputs changed. */
  days: readonly DayRange[]
  /** Companies and warehouses that changed; null means all. */
  companies: readonly string[] | null
  warehouses: readonly string[] | null
}

/** A run with what its expression implies. */
export interface PlannedRun extends RunToCompute {
  index: number
  /** The flattened expression. */
  expression: Expression
  grain: Grain
  /** The days whose values may change. */
  output: DayRange[]
  /** The days on which its inputs are read. */
  needs: DayRange[]
  windowed: boolean
}

type Aggregate = Extract<Expression, { type: 'aggregate' }>

/** A distinct aggregate over the rows of one dataset, which one or more runs use. */
export interface AggregateRequest {
  key: string
  op: Aggregate['op']
  series: SeriesPlace
  by: SeriesPlace | undefined
  where: RowCondition | undefined
  percentile: number | undefined
  grains: Set<Grain>
  days: DayRange[]
}

/** A metric whose values are read. */
export interface ValueRequest {
  metric: string
  grain: Grain
  days: DayRange[]
}

/** What all runs of a computation read, without repetition. */
export interface Inputs {
  aggregates: AggregateRequest[]
  values: ValueRequest[]
}

/** Returns a key that identifies an aggregate: equal aggregates have equal keys. */
export function aggregateKey(node: Aggregate): string {
  return JSON.stringify([node.op, node.series, node.where, node.percentile, node.by])
}

/** Returns the plan of a run: the days that it computes, and the days that it reads. */
export function planRun(run: RunToCompute, index: number): PlannedRun {
  const expression = flatten(run.definition.expression)
  const reach = reachOf(expression)
  const output = reach.spread(run.days)
  const windowed = expressionsIn(expression).some(
    ({ node }) => node.type === 'rolling' || node.type === 'cumulative' || node.type === 'growth',
  )
  return {
    ...run,
    index,
    expression,
    grain: run.definition.grain,
    output,
    needs: reach.needs(output),
    windowed,
    ...changedCells(run, expression),
  }
}

/**
 * Returns the cells that a change can affect. A window has a value on a day on which another cell has rows, so behind
 * a window a change affects every cell.
 */
function changedCells(
  run: RunToCompute,
  expression: Expression,
): Pick<RunToCompute, 'companies' | 'warehouses'> {
  const { grain } = run.definition
  const crosses = expressionsIn(expression).some(
    ({ node }) => node.type === 'rolling' || node.type === 'cumulative',
  )
  return {
    companies: crosses || grain === 'total' ? null : run.companies,
    warehouses: crosses || grain !== 'warehouse' ? null : run.warehouses,
  }
}

/** Returns everything that the runs read, without repetition. */
export function collectInputs(runs: readonly PlannedRun[], places: SeriesPlaces): Inputs {
  const aggregates = new Map<string, AggregateRequest>()
  const values = new Map<string, ValueRequest>()
  for (const run of runs)
    for (const { input, days } of inputNeeds(run.expression, run.output)) {
      const key = input.type === 'aggregate' ? aggregateKey(input) : `${run.grain} ${input.metric}`
      const request =
        input.type === 'aggregate'
          ? obtain(aggregates, key, () => aggregateRequest(key, input, places))
          : obtain(values, key, () => ({ metric: input.metric, grain: run.grain, days: [] }))
      request.days = unionOfDays([...request.days, ...days])
      if ('grains' in request) request.grains.add(run.grain)
    }
  return { aggregates: [...aggregates.values()], values: [...values.values()] }
}

function obtain<T>(map: Map<string, T>, key: string, make: () => T): T {
  const there = map.get(key)
  if (there !== undefined) return there
  const made = make()
  map.set(key, made)
  return made
}

function aggregateRequest(key: string, node: Aggregate, places: SeriesPlaces): AggregateRequest {
  const placed = (code: string): SeriesPlace => {
    const place = places.get(code)
    if (!place) throw new Error(`the series "${code}" has no place`)
    return place
  }
  return {
    key,
    op: node.op,
    series: placed(node.series),
    by: node.by === undefined ? undefined : placed(node.by),
    where: node.where,
    percentile: node.percentile,
    grains: new Set(),
    days: [],
  }
}
