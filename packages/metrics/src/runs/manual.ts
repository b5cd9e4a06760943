import { nextDay } from '@aduana/contracts/dates'
import { OPEN_RUNS, RETRIABLE_RUNS, type RunStatus } from '@aduana/contracts/metrics/runs'
import { ProblemError } from '@aduana/contracts/problems'
import { audit } from '@aduana/db/audit'
import type { Tx } from '@aduana/db/database'
import { literals } from '@aduana/db/literals'
import { toMultirange } from '@aduana/metric-compute/expressions/multirange'
import { sql } from 'kysely'
import { requestRuns } from '../requests/request.ts'
import { endRuns } from './end.ts'
import { lockRuns, lockWithDependents, metricIdsOf } from './locks.ts'
import { scheduleRuns } from './schedule.ts'

/**
 * Cancels a run that has not ended. Its runner learns it from the response to its next heartbeat; later events of it
 * are refused. Changes that arrived for the next run get that run.
 * @throws ProblemError `not_found`, `illegal_run_transition`
 */
export async function cancelRun(tx: Tx, runId: string, by: string | null): Promise<void> {
  const { run, locked } = await lockRun(tx, runId)
  if (!OPEN_RUNS.includes(run.status)) throw illegalTransition(run, 'cancelled, because it has ended')
  await endRuns(tx, [{ id: run.id, attempt: run.attempt, to: 'CANCELLED', by }], locked)
  await audit(tx, { actor: by, action: 'metric_run.cancel', subjectType: 'metric_run', subjectId: runId })
}

/**
 * Requests a failed or expired run again, without waiting for datasets. While the metric has an open run, that run or
 * its successor takes over the days. Returns the id of the run that computes them.
 * @throws ProblemError `not_found`, `illegal_run_transition`
 */
export async function retryRun(tx: Tx, runId: string, by: string | null): Promise<string> {
  const { run, locked } = await lockRun(tx, runId)
  const row = await tx
    .selectFrom('metric_runs')
    .innerJoin('metrics', 'metrics.id', 'metric_runs.metric_id')
    .select(['occurred_at', 'companies', 'warehouses', 'taken_over_by', 'metrics.retired_at'])
    .select(sql<string>`days::text`.as('days'))
    .where('metric_runs.id', '=', runId)
    .executeTakeFirstOrThrow()
  if (!RETRIABLE_RUNS.includes(run.status))
    throw illegalTransition(run, 'retried. Only FAILED and EXPIRED runs can be retried')
  if (row.taken_over_by !== null)
    throw illegalTransition(run, `retried, because run ${row.taken_over_by} has taken over its days`)
  if (row.retired_at !== null) throw illegalTransition(run, 'retried, because its metric is retired')
  await audit(tx, { actor: by, action: 'metric_run.retry', subjectType: 'metric_run', subjectId: runId })
  if (!(await hasOpenRun(tx, run.metric_id))) {
    await requestRuns(tx, [runId], RETRIABLE_RUNS)
    return runId
  }
  const change = {
    cause: 'recompute',
    occurredAt: row.occurred_at,
    days: row.days,
    companies: row.companies,
    warehouses: row.warehouses,
    inputRuns: [{ metricId: run.metric_id, runId }],
    waitForDatasets: false,
    ...(by === null ? {} : { requestedBy: by }),
  } as const
  const { assigned } = await scheduleRuns(tx, [{ change, metricIds: [run.metric_id] }], locked)
  const successor = assigned[0]?.run_id ?? runId
  await tx
    .updateTable('metric_runs')
    .set({ taken_over_by: successor, version: sql<string>`version + 1` })
    .where('id', '=', runId)
    .where('id', '<>', successor)
    .execute()
  return successor
}

/**
 * Requests the computation of a metric for a range of days, where `to` is the last, regardless of what has changed
 * and without waiting for datasets. Returns the id of the run that computes them.
 * @throws ProblemError `unknown_metric`, `bad_request`
 */
export async function requestRecompute(
  tx: Tx,
  code: string,
  from: string,
  to: string,
  by: string | null,
): Promise<string> {
  if (from > to) throw new ProblemError('bad_request', `The range ends (${to}) before it begins (${from}).`)
  const metric = await tx
    .selectFrom('metrics')
    .select('id')
    .where('code', '=', code)
    .where('retired_at', 'is', null)
    .executeTakeFirst()
  if (!metric) throw new ProblemError('unknown_metric', `There is no metric "${code}".`)
  const locked = await lockWithDependents(tx, [metric.id])
  await lockRuns(tx, [], locked)
  const change = {
    cause: 'recompute',
    occurredAt: new Date(),
    days: toMultirange([{ from, to: nextDay(to) }]),
    companies: null,
    warehouses: null,
    waitForDatasets: false,
    ...(by === null ? {} : { requestedBy: by }),
  } as const
  const { assigned } = await scheduleRuns(tx, [{ change, metricIds: [metric.id] }], locked)
  const details = { from, to }
  await audit(tx, { actor: by, action: 'metric.recompute', subjectType: 'metric', subjectId: code, details })
  const [run] = assigned
  if (!run) throw new Error(`no run of "${code}" was assigned the days ${from} to ${to}`)
  return run.run_id
}

async function lockRun(tx: Tx, runId: string) {
  const locked = await lockWithDependents(tx, await metricIdsOf(tx, [{ runId }]))
  const run = (await lockRuns(tx, [{ runId }], locked)).get(runId)
  if (!run) throw new ProblemError('not_found', `The run ${runId} does not exist.`)
  return { run, locked }
}

function illegalTransition(run: { id: string; status: RunStatus }, what: string): ProblemError {
  return new ProblemError('illegal_run_transition', `Run ${run.id} is ${run.status} and cannot be ${what}.`, {
    status: run.status,
  })
}

async function hasOpenRun(tx: Tx, metricId: string): Promise<boolean> {
  const row = await sql<{
    open: boolean
  }>`select exists (select from metric_runs where metric_id = ${metricId}
    and status in (${literals(OPEN_RUNS)})) as open`.execute(tx)
  return row.rows[0]?.open === true
}
