import type { Day, DayRange } from '@aduana/contracts/dates'
import { nextDay } from '@aduana/contracts/dates'
import type { Grain } from '@aduana/contracts/metrics/definition'
import { lit } from '@aduana/datasets/literals'
import { commonDays } from '../expressions/days.ts'
import { reachOf } from '../expressions/reach.ts'
import { groupBy } from '../group-by.ts'
import { aliasOf, compile, emptyGraph, type Graph, layersQuery } from './graph.ts'
import type { Leaves } from './leaf.ts'
import type { PlannedRun } from './plan.ts'
import type { Session } from './session.ts'
import { cellColumns } from './sql-text.ts'

/** PostgreSQL allows 1,664 columns per statement, and each layer carries columns of earlier layers. */
const MAX_COLUMNS = 900

/** Runs that one statement computes. */
interface Batch {
  graph: Graph
  /** The days that its windows read; undefined without windows. */
  needs: DayRange[] | undefined
  runs: { run: PlannedRun; value: string; kept: string }[]
}

/**
 * Evaluates the expressions of runs over their leaves. Returns the name of a temporary table `run, day, company,
 * warehouse, value`; `work` is the table of the runs. Metrics of the same grain share statements, and each distinct
 * subexpression is computed once.
 */
export async function evaluate(
  session: Session,
  runs: readonly PlannedRun[],
  leaves: Leaves,
  work: string,
): Promise<string> {
  const table = await session.materialize(
    'select null::integer as run, null::date as day, null::text as company, null::text as warehouse, null::numeric as value limit 0',
  )
  const spines = groupBy(runs, (run) => `${run.grain} ${run.windowed ? JSON.stringify(run.needs) : ''}`)
  for (const its of spines.values())
    for (const batch of batchesOf(its, leaves)) {
      const spine = await spineOf(session, batch)
      if (spine !== undefined) await session.run(insertValues(batch, spine, table, work))
    }
  await session.run(`analyze ${table} (run, day, company, warehouse)`)
  return table
}

function batchesOf(runs: readonly PlannedRun[], leaves: Leaves): Batch[] {
  const batches: Batch[] = []
  for (const run of runs) {
    let batch = batches.at(-1)
    if (!batch || batch.graph.columns.size > MAX_COLUMNS) {
      const graph = emptyGraph(run.grain, leaves)
      batch = { graph, needs: run.windowed ? run.needs : undefined, runs: [] }
      batches.push(batch)
    }
    batch.runs.push({ run, ...compile(batch.graph, run.expression) })
  }
  return batches
}

/** Returns a query for the days and cells at which a batch is evaluated; undefined when there are no rows. */
async function spineOf(session: Session, { graph, needs, runs }: Batch): Promise<string | undefined> {
  const tables = [...graph.tables.values()]
  const keys = ['day', ...cellColumns(graph.grain)].join(', ')
  const union = (columns: string) =>
    tables.map((table) => `select distinct ${columns} from ${table.name} ${aliasOf(table)}`).join(' union ')
  if (needs === undefined) return union(keys)
  const { rows } = await session.run<{ first: Day | null; last: Day | null }>(
    `select min(day)::text as first, max(day)::text as last from (${union('day')}) days`,
  )
  const [first, last] = [rows[0]?.first, rows[0]?.last]
  if (!first || !last) return undefined
  const days = windowDays(runs, { from: first, to: nextDay(last) })
  if (days.length === 0) return undefined
  const calendar = days
    .map(
      ({ from, to }) =>
        `select generate_series(timestamp ${lit(from)}, timestamp ${lit(to)} - interval '1 day', interval '1 day')::date as day`,
    )
    .join(' union all ')
  if (graph.grain === 'total') return calendar
  return `select * from (${calendar}) days cross join (${union(cellColumns(graph.grain).join(', '))}) cells`
}

/**
 * Returns the days that windows read, with or without rows, for the days on which there are rows. Only the latter
 * keep values.
 */
function windowDays(runs: Batch['runs'], filled: DayRange): DayRange[] {
  return reachOf({
    type: 'arithmetic',
    op: 'add',
    of: runs.map(({ run }) => run.expression),
  }).needs(runs.flatMap(({ run }) => commonDays(run.output, [filled])))
}

function insertValues({ graph, runs }: Batch, spine: string, table: string, work: string): string {
  const wanted = [...new Set(runs.flatMap(({ value, kept }) => [value, kept]))]
  // Three parallel arrays: VALUES rows would be evaluated again for every day and cell.
  const list = (of: (one: Batch['runs'][number]) => string) => `array[${runs.map(of).join(', ')}]`
  const values = [
    list(({ run }) => String(run.index)),
    `${list(({ value }) => `x.${value}`)}::numeric[]`,
    list(({ kept }) => `x.${kept}`),
  ].join(', ')
  const cell = (name: 'company' | 'warehouse', grain: Grain) =>
    cellColumns(grain).includes(name) ? `x.${name}` : 'null::text'
  const [company, warehouse] = [cell('company', graph.grain), cell('warehouse', graph.grain)]
  return `insert into ${table}
    select v.run, x.day, ${company}, ${warehouse}, trim_scale(v.value)
    from (${layersQuery(graph, spine, wanted)}) x
      cross join lateral unnest(${values}) v (run, value, kept)
      join ${work} w on w.run = v.run
    where v.kept and v.value is not null and x.day <@ w.days
      and (w.companies is null or ${company} = any (w.companies))
      and (w.warehouses is null or ${warehouse} = any (w.warehouses))`
}
