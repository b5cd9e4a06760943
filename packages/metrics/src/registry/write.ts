import { createHash } from 'node:crypto'
import type { MetricDefinition, SeriesDefinition } from '@aduana/contracts/metrics/definition'
import type { Tx } from '@aduana/db/database'
import { sql } from 'kysely'
import type { Needs, RegisteredMetric } from './graph.ts'

/** Returns the SHA-256 of a definition. */
export function shaOf(definition: MetricDefinition | SeriesDefinition): string {
  return createHash('sha256').update(JSON.stringify(definition)).digest('hex')
}

/** Writes the next version of a metric, or its first, and returns the metric. */
export async function writeVersion(
  tx: Tx,
  definition: MetricDefinition,
  known: RegisteredMetric | undefined,
  by: string | null,
): Promise<RegisteredMetric> {
  const { code } = definition
  const version = (known?.version ?? 0) + 1
  const id = known?.id ?? (await insertMetric(tx, code))
  const sha256 = shaOf(definition)
  await tx
    .insertInto('metric_versions')
    .values({
      metric_id: id,
      version,
      definition: JSON.stringify(definition),
      definition_sha256: sha256,
      expression_type: definition.expression.type,
      expression_json: JSON.stringify(definition.expression),
      created_by: by,
    })
    .execute()
  await tx
    .updateTable('metrics')
    .set({ current_version: version, retired_at: null, updated_at: sql<Date>`now()` })
    .where('id', '=', id)
    .execute()
  return { id, code, version, sha256, definition, createdBy: by, retired: false }
}

async function insertMetric(tx: Tx, code: string): Promise<string> {
  const row = await tx
    .insertInto('metrics')
    .values({ code, current_version: 1 })
    .returning('id')
    .executeTakeFirstOrThrow()
  return row.id
}

interface DependencyRow {
  metric_id: string
  dataset_id?: string
  series?: string
  needs_metric_id?: string
  required_days?: number
}

interface MetricLevel {
  id: string
  level: number
}

/**
 * Replaces the stored dependencies of metrics (series, metrics, and datasets also through metrics) and their levels.
 */
export async function writeDependencies(
  tx: Tx,
  metrics: readonly RegisteredMetric[],
  needs: ReadonlyMap<string, Needs>,
  idOf: (code: string) => string | undefined,
): Promise<void> {
  const rows: DependencyRow[] = []
  const levels: MetricLevel[] = []
  for (const { id, code, definition } of metrics) {
    const own = needs.get(code)
    if (!own) continue
    levels.push({ id, level: own.level })
    for (const series of own.series) rows.push({ metric_id: id, series })
    for (const other of own.metrics) {
      const needed = idOf(other)
      if (needed !== undefined) rows.push({ metric_id: id, needs_metric_id: needed })
    }
    for (const [dataset, datasetId] of own.datasets)
      rows.push({
        metric_id: id,
        dataset_id: datasetId,
        required_days: definition.requiredDaysOf[dataset] ?? definition.requiredDays,
      })
  }
  await deleteDependencies(
    tx,
    metrics.map(({ id }) => id),
  )
  await insertDependencies(tx, rows)
  await updateLevels(tx, levels)
}

async function deleteDependencies(tx: Tx, metricIds: readonly string[]): Promise<void> {
  await sql`delete from metric_dependencies where metric_id = any (${metricIds}::uuid[])`.execute(tx)
}

async function insertDependencies(tx: Tx, rows: readonly DependencyRow[]): Promise<void> {
  await sql`insert into metric_dependencies (metric_id, dataset_id, series_id, needs_metric_id, required_days)
    select r.metric_id, r.dataset_id, s.id, r.needs_metric_id, r.required_days
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as r(metric_id uuid, dataset_id uuid, series text, needs_metric_id uuid, required_days integer)
      left join series s on s.code = r.series`.execute(tx)
}

async function updateLevels(tx: Tx, levels: readonly MetricLevel[]): Promise<void> {
  await sql`update metrics m set level = l.level
    from jsonb_to_recordset(${JSON.stringify(levels)}::jsonb) as l(id uuid, level integer)
    where m.id = l.id and m.level <> l.level`.execute(tx)
}
