import { addDays } from '@aduana/contracts/dates'
import { type Principal, requireRole } from '@aduana/contracts/identity'
import type { SeriesDefinition } from '@aduana/contracts/metrics/definition'
import type { ProjectionUpdate } from '@aduana/contracts/metrics/events'
import type { RecomputeRequest } from '@aduana/contracts/metrics/http'
import {
  type MetricRunDetail,
  type ProjectionAccepted,
  RunAccepted,
} from '@aduana/contracts/metrics/http-runs'
import { RunStatus } from '@aduana/contracts/metrics/runs'
import { ProblemError } from '@aduana/contracts/problems'
import { type Database, inTransactionWithLockTimeout, readAs } from '@aduana/db/database'
import {
  createIdempotently,
  type IdempotentResult,
  type RepeatableRequest,
} from '@aduana/jobs/accept/idempotency'
import { failPoint } from '@aduana/runtime/fail-points'
import { findMetric } from './read/metrics.ts'
import { readRun, requireVisibleRun } from './read/runs.ts'
import { retireMetric, type SavedMetric, saveMetric } from './registry/metrics.ts'
import { type SavedSeries, saveSeries } from './registry/series.ts'
import { cancelRun, requestRecompute, retryRun } from './runs/manual.ts'
import { acceptProjectionUpdate, assertPlausibleDays } from './updates/accept.ts'

/**
 * Requests the computation of a metric for a range of days, where `to` is the day after the last. A repeated request
 * with the same key returns the first response.
 * @throws ProblemError `forbidden`, `unknown_metric`, `idempotency_key_reused`
 */
export async function recomputeMetricAs(
  db: Database,
  principal: Principal,
  code: string,
  { from, to }: RecomputeRequest,
  repeatable?: RepeatableRequest,
): Promise<IdempotentResult<RunAccepted>> {
  requireRole(principal, 'steward', 'Recomputing')
  await readAs(db, principal, (tx) => findMetric(tx, principal, code))
  return inTransactionWithLockTimeout(db, (tx) =>
    createIdempotently(tx, repeatable, RunAccepted, async () => {
      const id = await requestRecompute(tx, code, from, addDays(to, -1), principal.userId)
      const row = await tx
        .selectFrom('metric_runs')
        .select('status')
        .where('id', '=', id)
        .executeTakeFirstOrThrow()
      return { status: 202, body: { id, status: RunStatus.parse(row.status) } }
    }),
  )
}

/**
 * Retries a run that failed or expired. Returns the run that computes it, which may be another one.
 * @throws ProblemError `forbidden`, `not_found`, `illegal_run_transition`
 */
export async function retryRunAs(db: Database, principal: Principal, id: string): Promise<MetricRunDetail> {
  requireRole(principal, 'steward', 'Retrying a run')
  await requireVisibleRun(db, principal, id)
  return readRun(
    db,
    principal,
    await inTransactionWithLockTimeout(db, (tx) => retryRun(tx, id, principal.userId)),
  )
}

/**
 * Cancels a run that has not ended, and returns it.
 * @throws ProblemError `forbidden`, `not_found`, `illegal_run_transition`
 */
export async function cancelRunAs(db: Database, principal: Principal, id: string): Promise<MetricRunDetail> {
  requireRole(principal, 'steward', 'Cancelling a run')
  await requireVisibleRun(db, principal, id)
  await inTransactionWithLockTimeout(db, (tx) => cancelRun(tx, id, principal.userId))
  return readRun(db, principal, id)
}

/**
 * Accepts a change of a dataset outside Aduana, once per event key. A repeated update returns the first response.
 * @throws ProblemError `forbidden`, also for companies or warehouses outside the scope of the user;
 * `unknown_dataset`, `impossible_timestamp`, `event_key_reused`; `bad_request` for days outside 1900–2199
 */
export async function acceptProjectionUpdateAs(
  db: Database,
  principal: Principal,
  update: ProjectionUpdate,
): Promise<IdempotentResult<ProjectionAccepted>> {
  requireRole(principal, 'steward', 'Announcing an update')
  assertPlausibleDays(update)
  assertWithinScope(principal.companies, update.companies, 'companies')
  assertWithinScope(principal.warehouses, update.warehouses, 'warehouses')
  const { updateId, fresh } = await inTransactionWithLockTimeout(db, async (tx) => {
    const accepted = await acceptProjectionUpdate(tx, update)
    await failPoint('projection.before-commit')
    return accepted
  })
  await failPoint('projection.after-commit')
  const { dataset, eventKey } = update
  return { status: 202, body: { id: updateId, dataset, eventKey }, replayed: !fresh }
}

/**
 * Saves a metric. With `expectedVersion`, only if that is its current version.
 * @throws ProblemError `forbidden`, `invalid_metric` with its `problems`, `version_changed`
 */
export function saveMetricAs(
  db: Database,
  principal: Principal,
  code: string,
  definition: unknown,
  expectedVersion?: number,
): Promise<SavedMetric> {
  requireRole(principal, 'admin', 'Changing a metric')
  return inTransactionWithLockTimeout(db, (tx) =>
    saveMetric(tx, withCode(code, definition), principal.userId, expectedVersion),
  )
}

/**
 * Retires a metric.
 * @throws ProblemError `forbidden`, `unknown_metric`, `metric_in_use` with its `metrics`
 */
export function retireMetricAs(db: Database, principal: Principal, code: string): Promise<void> {
  requireRole(principal, 'admin', 'Retiring a metric')
  return inTransactionWithLockTimeout(db, (tx) => retireMetric(tx, code, principal.userId))
}

/**
 * Saves a series. With `expectedVersion`, only if that is its current version.
 * @throws ProblemError `forbidden`, `unknown_dataset`, `bad_request`, `metric_in_use`, `version_changed`
 */
export function saveSeriesAs(
  db: Database,
  principal: Principal,
  series: SeriesDefinition,
  expectedVersion?: number,
): Promise<SavedSeries> {
  requireRole(principal, 'admin', 'Changing a series')
  return inTransactionWithLockTimeout(db, (tx) => saveSeries(tx, series, principal.userId, expectedVersion))
}

/**
 * Returns the definition with the code of its address.
 * @throws ProblemError `invalid_metric` when it contains another code
 */
function withCode(code: string, definition: unknown): unknown {
  if (typeof definition !== 'object' || definition === null || Array.isArray(definition)) return definition
  if ('code' in definition && definition.code !== code)
    throw new ProblemError(
      'invalid_metric',
      `The code in the definition must be "${code}", as in the URL, or absent.`,
      {
        problems: [{ metric: code, path: 'code', code: 'invalid', message: `must be "${code}" or absent` }],
      },
    )
  return { ...definition, code }
}

function assertWithinScope(
  own: readonly string[] | null,
  named: readonly string[] | undefined,
  what: 'companies' | 'warehouses',
): void {
  if (own === null || named?.every((one) => own.includes(one))) return
  const detail = named
    ? `You may announce updates only of your own ${what}.`
    : `You may announce updates only of your own ${what}. List them in "${what}".`
  throw new ProblemError('forbidden', detail)
}
