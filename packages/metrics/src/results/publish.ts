import { OPEN_RUNS } from '@aduana/contracts/metrics/runs'
import type { Tx } from '@aduana/db/database'
import { openSession, type Session } from '@aduana/metric-compute/compute/session'
import { createRunTable, NO_CHANGE, sumsOf, writeValues } from '@aduana/metric-compute/compute/write-values'
import { toMultirange } from '@aduana/metric-compute/expressions/multirange'
import { referencesOf } from '@aduana/metric-compute/expressions/references'
import { sql } from 'kysely'
import type pg from 'pg'
import { readSeriesPlaces } from '../registry/series-places.ts'
import { endRuns, type RunEnding } from '../runs/end.ts'
import { lockGraphShared, lockRuns, lockWithDependents } from '../runs/locks.ts'
import { widenScopes } from '../runs/scopes.ts'
import { AnnouncedResults } from './announce.ts'
import { findMismatch } from './mismatch.ts'
import { type ResultPlan, readResultPlan } from './plan.ts'

interface ImportedRun {
  id: string
  metric_id: string
  /** The dataset of the import. */
  datasetId: string
  metric: string
  attempt: number
  announced: AnnouncedResults
  /** The id of the first row of the import, and the first id after it. */
  first: string
  after: string
}

/**
 * Makes the loaded results of a run the values of its metric, and ends the run as SUCCEEDED, in the transaction that
 * completes the import. If the results do not match the metric, its values stay unchanged and the run is FAILED.
 * Returns a message for the job; undefined when the job contains no results of a run.
 */
export async function publishResults(
  tx: Tx,
  client: pg.PoolClient,
  jobId: string,
): Promise<string | undefined> {
  const run = await findRun(tx, jobId)
  if (!run) return undefined
  // No other transaction writes the values of this metric: one runner at a time has it, and here it is an external
  // one.
  const locked = await lockWithDependents(tx, [run.metric_id, ...(await metricsAggregatingResults(tx, run))])
  const now = (await lockRuns(tx, [{ runId: run.id }], locked)).get(run.id)
  if (!now || now.job_id !== jobId || now.attempt !== run.attempt || !OPEN_RUNS.includes(now.status))
    return 'The run has already ended, so the values of the metric are unchanged.'
  const plan = await readResultPlan(tx, run.id, run.announced.days)
  const mismatch = await findMismatch(client, { ...run, plan })
  const { id, attempt } = run
  if (mismatch !== undefined) {
    const error = { code: 'results_do_not_fit', detail: mismatch, job: jobId }
    await endRuns(tx, [{ id, attempt, to: 'FAILED', error }], locked)
    return `The rows do not match the metric, so its values are unchanged: ${mismatch}`
  }
  const ending = await writeResults(tx, openSession(client, undefined), run, plan)
  await endRuns(tx, [ending], locked)
  return `The rows are now the values of ${run.metric}.`
}

/** Returns the metrics that depend on the dataset of the import. The same transaction fans its update out to them. */
async function metricsAggregatingResults(tx: Tx, { datasetId }: ImportedRun): Promise<string[]> {
  await lockGraphShared(tx)
  const rows = await tx
    .selectFrom('metric_dependencies')
    .select('metric_id')
    .distinct()
    .where('dataset_id', '=', datasetId)
    .execute()
  return rows.map(({ metric_id }) => metric_id)
}

async function findRun(tx: Tx, jobId: string): Promise<ImportedRun | undefined> {
  const rows = await sql<Omit<ImportedRun, 'announced'> & { manifest: unknown }>`
    select r.id, r.metric_id, i.dataset_id as "datasetId", m.code as metric, r.attempt, r.manifest,
      (i.import_no::bigint << 32)::text as first, ((i.import_no::bigint + 1) << 32)::text as after
    from metric_runs r join metrics m on m.id = r.metric_id join imports i on i.job_id = r.job_id
    where r.job_id = ${jobId}`.execute(tx)
  const [row] = rows.rows
  if (!row) return undefined
  const { manifest, ...run } = row
  return { ...run, announced: AnnouncedResults.parse(manifest) }
}

async function writeResults(
  tx: Tx,
  session: Session,
  run: ImportedRun,
  plan: ResultPlan,
): Promise<RunEnding> {
  const { id, attempt, announced } = run
  const table = await createRunTable(session, [plan], [await sumsOfPlan(tx, plan)])
  const values = await session.materialize(
    `select 0 as run, date as day, company::text as company, warehouse::text as warehouse, trim_scale(value) as value
      from metric_result where id >= ${run.first} and id < ${run.after}`,
  )
  const result = (await writeValues(session, table, values)).get(0) ?? NO_CHANGE
  await session.clear()
  const { companies, warehouses } = result
  await widenScopes(tx, [{ runId: id, companies, warehouses }])
  const { rowCount } = announced
  return { id, attempt, to: 'SUCCEEDED', rowCount, days: toMultirange(result.days), manifest: announced }
}

/** Returns whether the values combine companies or warehouses. For those of input metrics, it follows from their values. */
async function sumsOfPlan(tx: Tx, plan: ResultPlan) {
  const inputs = referencesOf(plan.definition.expression).metrics.map(({ code }) => code)
  const rows = await sql<{ metric: string; companies: boolean; warehouses: boolean }>`
    select metric_name as metric, bool_or(sums_companies) as companies, bool_or(sums_warehouses) as warehouses
    from daily_metrics where metric_name = any (${inputs}::text[])
      and date <@ ${toMultirange(plan.needs)}::datemultirange group by metric_name`.execute(tx)
  const sums = new Map(rows.rows.map(({ metric, ...flags }) => [metric, flags]))
  return sumsOf(plan.definition, await readSeriesPlaces(tx), sums)
}
