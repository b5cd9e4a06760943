import type { Principal } from '@aduana/contracts/identity'
import { MetricDefinition } from '@aduana/contracts/metrics/definition'
import { DatasetNeed, Metric, MetricItem, type MetricQuery } from '@aduana/contracts/metrics/http'
import { OPEN_RUNS } from '@aduana/contracts/metrics/runs'
import { ProblemError } from '@aduana/contracts/problems'
import { type Database, type ReadTx, readAs } from '@aduana/db/database'
import { literals } from '@aduana/db/literals'
import { CursorColumn, decodeCursor, encodeCursor } from '@aduana/jobs/read/cursor'
import type { Page } from '@aduana/jobs/read/jobs'
import { referencesOf } from '@aduana/metric-compute/expressions/references'
import { type RawBuilder, sql } from 'kysely'
import { z } from 'zod'
import { completenessOf } from './completeness.ts'
import { readRollUp } from './roll-up.ts'
import {
  instant,
  isVisibleToRole,
  pendingDatasets,
  preferIndexOrder,
  runOverlapsReader,
  textOf,
  updateOverlapsReader,
} from './sql.ts'

/** An active metric that the reader may see. */
export interface FoundMetric {
  id: string
  code: string
  version: number
  level: number
  definition: MetricDefinition
  createdAt: Date
  updatedAt: Date
}

interface Row {
  id: string
  code: string
  version: number
  level: number
  definition: unknown
  created_at: Date
  updated_at: Date
}

const CodeCursor = z.tuple([CursorColumn.text])

function select(principal: Principal, more: RawBuilder<unknown>, where: RawBuilder<unknown>) {
  return sql<Row & { last_day: string | null; computed_at: Date | null; open_run: unknown }>`
    select m.id, m.code, v.version, m.level, v.definition, m.created_at, m.updated_at ${more}
    from metrics m join metric_versions v on v.metric_id = m.id and v.version = m.current_version
    where m.retired_at is null and ${isVisibleToRole(principal)} ${where}`
}

const SUMMARY = sql`,
  (select d.date from daily_metrics d where d.metric_name = m.code order by d.date desc limit 1) as last_day,
  (select r.completed_at from metric_runs r where r.metric_id = m.id and r.status = 'SUCCEEDED' and ${runOverlapsReader}
    order by r.created_at desc limit 1) as computed_at,
  (select json_build_object('id', r.id, 'status', r.status, 'waitsFor', ${pendingDatasets}) from metric_runs r
    where r.metric_id = m.id and r.status in (${literals(OPEN_RUNS)}) and ${runOverlapsReader}
    order by r.created_at desc limit 1) as open_run`

/** Returns the active metrics that `principal` may see, by code. */
export function listMetrics(
  db: Database,
  principal: Principal,
  query: MetricQuery,
): Promise<Page<MetricItem>> {
  const after = query.cursor === undefined ? '' : decodeCursor(CodeCursor, query.cursor)[0]
  const tab = query.tab ?? null
  return readAs(db, principal, async (tx) => {
    const where = sql`and m.code > ${after} and (${tab}::text is null or v.definition -> 'tabs' @> to_jsonb(${tab}::text))
      order by m.code limit ${query.limit + 1}`
    await preferIndexOrder(tx)
    const { rows } = await select(principal, SUMMARY, where).execute(tx)
    const items = rows.slice(0, query.limit).map((row) =>
      MetricItem.parse({
        ...shownOf(foundOf(row)),
        freshness: { lastDay: row.last_day, computedAt: textOf(row.computed_at) },
        openRun: row.open_run,
      }),
    )
    const last = items.at(-1)
    return { items, next: rows.length > query.limit && last ? encodeCursor([last.code]) : null }
  })
}

/** Returns an active metric. @throws ProblemError `unknown_metric` when there is none that `principal` may see */
export async function findMetric(tx: ReadTx, principal: Principal, code: string): Promise<FoundMetric> {
  const { rows } = await select(principal, sql``, sql`and m.code = ${code}`).execute(tx)
  const [row] = rows
  if (row) return foundOf(row)
  throw new ProblemError(
    'unknown_metric',
    `The metric "${code}" does not exist, or you have no access to it.`,
  )
}

/**
 * Returns a metric with its definition, dependencies, freshness and completeness. @throws ProblemError
 * `unknown_metric`
 */
export function readMetric(db: Database, principal: Principal, code: string): Promise<Metric> {
  return readAs(db, principal, async (tx) => {
    const metric = await findMetric(tx, principal, code)
    const completeness = await completenessOf(tx, principal, metric.id)
    return Metric.parse({
      ...shownOf(metric),
      definition: (await namesHiddenMetrics(tx, principal, metric.definition)) ? null : metric.definition,
      rollUp: await readRollUp(tx, metric.id, metric.definition),
      dependencies: await dependenciesOf(tx, principal, metric.id),
      freshness: await freshnessOf(tx, metric),
      completeness,
      createdAt: metric.createdAt.toISOString(),
      updatedAt: metric.updatedAt.toISOString(),
    })
  })
}

/** Returns whether an expression uses metrics that need another role. */
export async function namesHiddenMetrics(
  tx: ReadTx,
  principal: Principal,
  { expression }: Pick<MetricDefinition, 'expression'>,
): Promise<boolean> {
  const codes = referencesOf(expression).metrics.map(({ code }) => code)
  const rows = await sql<{ hidden: boolean }>`select exists (select from metrics m
      join metric_versions v on v.metric_id = m.id and v.version = m.current_version
    where m.code = any (${codes}::text[]) and not ${isVisibleToRole(principal)}) as hidden`.execute(tx)
  return rows.rows[0]?.hidden === true
}

function foundOf(row: Row): FoundMetric {
  const { id, code, version, level } = row
  const definition = MetricDefinition.parse(row.definition)
  return { id, code, version, level, definition, createdAt: row.created_at, updatedAt: row.updated_at }
}

function shownOf({ code, version, level, definition }: FoundMetric) {
  const { title, description, unit = null, grain, runner, tabs } = definition
  return { code, version, title, description, unit, grain, level, runner, tabs }
}

async function freshnessOf(tx: ReadTx, { id, code }: FoundMetric): Promise<Metric['freshness']> {
  const { rows } = await sql<{ freshness: unknown }>`
    select json_build_object('firstDay', min(d.date), 'lastDay', max(d.date), 'days', count(distinct d.date),
      'lastUpdated', ${instant(sql`max(d.last_updated)`)},
      'computedAt', (select ${instant(sql`r.completed_at`)} from metric_runs r
        where r.metric_id = ${id} and r.status = 'SUCCEEDED' and ${runOverlapsReader} order by r.created_at desc limit 1),
      'lastRun', (select json_build_object('id', r.id, 'status', r.status, 'createdAt', ${instant(sql`r.created_at`)},
          'completedAt', ${instant(sql`r.completed_at`)})
        from metric_runs r where r.metric_id = ${id} and ${runOverlapsReader} order by r.created_at desc, r.id desc limit 1)
    ) as freshness
    from daily_metrics d where d.metric_name = ${code}`.execute(tx)
  return Metric.shape.freshness.parse(rows[0]?.freshness)
}

async function dependenciesOf(
  tx: ReadTx,
  principal: Principal,
  metricId: string,
): Promise<Metric['dependencies']> {
  const datasets = await sql`
    select d.code as dataset, n.required_days as "requiredDays", ${instant(sql`u.last`)} as "lastUpdate",
      coalesce(u.last >= now() - n.required_days * interval '24 hours', false) as "inTime"
    from metric_dependencies n join datasets d on d.id = n.dataset_id
      left join lateral (select max(u.occurred_at) as last from dataset_updates u
        where u.dataset_id = d.id and ${updateOverlapsReader}) u on true
    where n.metric_id = ${metricId} order by d.code`.execute(tx)
  const named = await sql<{ series: string[]; metrics: string[]; needed_by: string[] }>`
    select
      array(select s.code from metric_dependencies n join series s on s.id = n.series_id
        where n.metric_id = ${metricId} order by 1) as series,
      array(select m.code from metric_dependencies n join metrics m on m.id = n.needs_metric_id
          join metric_versions v on v.metric_id = m.id and v.version = m.current_version
        where n.metric_id = ${metricId} and ${isVisibleToRole(principal)} order by 1) as metrics,
      array(select m.code from metric_dependencies n join metrics m on m.id = n.metric_id
          join metric_versions v on v.metric_id = m.id and v.version = m.current_version
        where n.needs_metric_id = ${metricId} and ${isVisibleToRole(principal)} order by 1) as needed_by`.execute(
    tx,
  )
  const [own] = named.rows
  return {
    datasets: z.array(DatasetNeed).parse(datasets.rows),
    series: own?.series ?? [],
    metrics: own?.metrics ?? [],
    neededBy: own?.needed_by ?? [],
  }
}
