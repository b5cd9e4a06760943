import type { SavedDataset } from '@aduana/contracts/datasets'
import { addDays } from '@aduana/contracts/dates'
import { hasRole, type Principal, type Role } from '@aduana/contracts/identity'
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
import { readCatalogue } from '@aduana/datasets/catalogue'
import { readDefinitionOf } from '@aduana/datasets/definition-input'
import { engineProblems } from '@aduana/datasets/engine-problems'
import { currentDataset } from '@aduana/datasets/registry'
import { type Database, readAs } from '@aduana/db/database'
import { type Once, once, type RepeatableRequest } from '@aduana/jobs/once'
import { failPoint } from '@aduana/runtime/fail-points'
import { inTransactionWithLockTimeout } from './lock-timeout.ts'
import { findMetric } from './read/metrics.ts'
import { readRun, requireVisibleRun } from './read/runs.ts'
import { queryable, saveDataset } from './registry/datasets.ts'
import { retireMetric, type SavedMetric, saveMetric } from './registry/metrics.ts'
import { type SavedSeries, saveSeries } from './registry/series.ts'
import { cancelRun, requestRecompute, retryRun } from './runs/manual.ts'
import { acceptProjectionUpdate, assertPlausibleDays } from './updates/accept.ts'

/**
 * Have a metric computed for a range of days (`to` is the first day after it), once for all requests with the same key.
 * @throws ProblemError `forbidden`, `unknown_metric`, `idempotency_key_reused`
 */
export async function recomputeMetricAs(
  db: Database,
  principal: Principal,
  code: string,
  { from, to }: RecomputeRequest,
  repeatable?: RepeatableRequest,
): Promise<Once<RunAccepted>> {
  requireRole(principal, 'steward', 'Recomputing')
  await readAs(db, principal, (tx) => findMetric(tx, principal, code))
  return inTransactionWithLockTimeout(db, (tx) =>
    once(tx, repeatable, RunAccepted, async () => {
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
 * Ask again for a run that failed or expired. Answers the run that does it, which may be another one.
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

/** Cancel a run that has not ended. @throws ProblemError `forbidden`, `not_found`, `illegal_run_transition` */
export async function cancelRunAs(db: Database, principal: Principal, id: string): Promise<MetricRunDetail> {
  requireRole(principal, 'steward', 'Cancelling a run')
  await requireVisibleRun(db, principal, id)
  await inTransactionWithLockTimeout(db, (tx) => cancelRun(tx, id, principal.userId))
  return readRun(db, principal, id)
}

/**
 * Take in that a dataset has changed outside, once for its event key; whoever says it again gets the same answer.
 * @throws ProblemError `forbidden`, also for companies or warehouses beyond the own; `unknown_dataset`,
 * `impossible_timestamp`, `event_key_reused`, `bad_request` for days that no data can be of
 */
export async function acceptProjectionUpdateAs(
  db: Database,
  principal: Principal,
  update: ProjectionUpdate,
): Promise<Once<ProjectionAccepted>> {
  requireRole(principal, 'steward', 'Telling of an update')
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
 * Save a metric as it is declared; with `seen` only if that is its present version.
 * @throws ProblemError `forbidden`, `invalid_metric` with its `problems`, `version_changed`
 */
export function saveMetricAs(
  db: Database,
  principal: Principal,
  code: string,
  definition: unknown,
  seen?: number,
): Promise<SavedMetric> {
  requireRole(principal, 'admin', 'Changing a metric')
  return inTransactionWithLockTimeout(db, (tx) =>
    saveMetric(tx, withCode(code, definition), principal.userId, seen),
  )
}

/** Retire a metric. @throws ProblemError `forbidden`, `unknown_metric`, `metric_in_use` with its `metrics` */
export function retireMetricAs(db: Database, principal: Principal, code: string): Promise<void> {
  requireRole(principal, 'admin', 'Retiring a metric')
  return inTransactionWithLockTimeout(db, (tx) => retireMetric(tx, code, principal.userId))
}

/**
 * Save the definition of a dataset; with `seen` only if that is its present version.
 * @throws ProblemError `forbidden`; `invalid_dataset` and `dataset_in_use` with their `problems`; `dataset_busy`;
 * `version_changed`
 */
export async function saveDatasetAs(
  db: Database,
  principal: Principal,
  code: string,
  input: unknown,
  seen?: number,
): Promise<SavedDataset> {
  requireRole(principal, 'admin', 'Changing a dataset')
  const definition = readDefinitionOf(code, input)
  const present = await currentDataset(db, code)
  const catalogue = await readCatalogue(queryable(db), definition)
  const moreProblems = await engineProblems(definition, present?.definition, catalogue)
  return inTransactionWithLockTimeout(db, (tx) =>
    saveDataset(tx, definition, principal.userId, { moreProblems, expectedVersion: seen }),
  )
}

/**
 * Save a series; with `seen` only if that is its present version.
 * @throws ProblemError `forbidden`, `unknown_dataset`, `bad_request`, `metric_in_use`, `version_changed`
 */
export function saveSeriesAs(
  db: Database,
  principal: Principal,
  series: SeriesDefinition,
  seen?: number,
): Promise<SavedSeries> {
  requireRole(principal, 'admin', 'Changing a series')
  return inTransactionWithLockTimeout(db, (tx) => saveSeries(tx, series, principal.userId, seen))
}

/** The definition with the code of its address; another one in it stays, and is refused with its path. */
function withCode(code: string, definition: unknown): unknown {
  if (typeof definition !== 'object' || definition === null || Array.isArray(definition)) return definition
  if ('code' in definition && definition.code !== code)
    throw new ProblemError('invalid_metric', `The code of a metric is that of its address, "${code}".`, {
      problems: [{ metric: code, path: 'code', code: 'invalid', message: `must be "${code}", or left out` }],
    })
  return { ...definition, code }
}

function requireRole({ role }: Principal, needed: Role, what: string): void {
  if (!hasRole(role, needed)) throw new ProblemError('forbidden', `${what} needs the role ${needed}.`)
}

function assertWithinScope(
  own: readonly string[] | null,
  told: readonly string[] | undefined,
  what: 'companies' | 'warehouses',
): void {
  if (own === null || told?.every((one) => own.includes(one))) return
  const detail = told
    ? `You may only tell of your own ${what}.`
    : `You may only tell of your own ${what}: name them in "${what}".`
  throw new ProblemError('forbidden', detail)
}
