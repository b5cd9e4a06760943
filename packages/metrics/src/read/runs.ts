import type { Principal } from '@aduana/contracts/identity'
import type { MetricRunRequest } from '@aduana/contracts/metrics/events'
import { MetricRun, MetricRunDetail, type RunQuery } from '@aduana/contracts/metrics/http-runs'
import { ProblemError } from '@aduana/contracts/problems'
import { type Database, type ReadTx, readAs } from '@aduana/db/database'
import { CursorColumn, decodeCursor, encodeCursor } from '@aduana/jobs/read/cursor'
import type { Page } from '@aduana/jobs/read/jobs'
import { fromMultirange } from '@aduana/metric-compute/expressions/multirange'
import { type RawBuilder, sql } from 'kysely'
import { z } from 'zod'
import { readRunRequests } from '../requests/payload.ts'
import { AnnouncedResults } from '../results/announce.ts'
import { namesHiddenMetrics } from './metrics.ts'
import {
  daysOrNull,
  instant,
  isVisibleToRole,
  nextOverlapsReader,
  nextWithinReader,
  pendingDatasets,
  preferIndexOrder,
  runOverlapsReader,
  runWithinReader,
  textOf,
  updateOverlapsReader,
  updateWithinReader,
  visibleDeadline,
  visibleError,
  visibleOccurredAt,
  visibleScope,
} from './sql.ts'

const RunCursor = z.tuple([CursorColumn.moment, CursorColumn.uuid])

interface Row {
  id: string
  /** Whether the reader may see some of its scope, and not only of the run that follows it. */
  own: boolean
  /** Whether the reader may see all of its scope. */
  whole: boolean
  metric: string
  version: number
  status: string
  cause: string
  occurred_at: Date
  days: string
  next_days: string | null
  companies: string[] | null
  warehouses: string[] | null
  attempt: number
  progress: string
  message: string
  runner: string | null
  row_count: string | null
  output_days: string | null
  waits_for: unknown
  error: unknown
  taken_over_by: string | null
  expires_at: Date | null
  requested_at: Date | null
  started_at: Date | null
  last_heartbeat_at: Date | null
  retry_at: Date | null
  completed_at: Date | null
  created_at: Date
  created_text: string
  updated_at: Date
}

/** Returns the runs that `principal` may see, newest first. */
export function listRuns(db: Database, principal: Principal, query: RunQuery): Promise<Page<MetricRun>> {
  const [at, id] = query.cursor === undefined ? [null, null] : decodeCursor(RunCursor, query.cursor)
  return readAs(db, principal, async (tx) => {
    if (query.metric === undefined) await preferIndexOrder(tx)
    const rows = await readRows(
      tx,
      principal,
      sql`and (${query.status ?? null}::text is null or r.status = ${query.status ?? null})
        and (${query.metric ?? null}::text is null or m.code = ${query.metric ?? null})
        and (${at}::timestamptz is null or (r.created_at, r.id) < (${at}::timestamptz, ${id}::uuid))
        order by r.created_at desc, r.id desc limit ${query.limit + 1}`,
    )
    const shown = rows.slice(0, query.limit)
    const last = shown.at(-1)
    const more = rows.length > query.limit && last !== undefined
    return {
      items: shown.map((row) => MetricRun.parse(runOf(row))),
      next: more ? encodeCursor([last.created_text, last.id]) : null,
    }
  })
}

/** Returns a run with its inputs. @throws ProblemError `not_found` when there is none that `principal` may see */
export function readRun(db: Database, principal: Principal, id: string): Promise<MetricRunDetail> {
  return readAs(db, principal, async (tx) => {
    const row = await readRow(tx, principal, id)
    return MetricRunDetail.parse({
      ...runOf(row),
      inputs: await inputsOf(tx, row),
      results: row.own && row.whole ? await resultsOf(tx, id) : null,
      waited: await awaitedDatasetsOf(tx, id),
    })
  })
}

/**
 * Checks that `principal` may see some of the scope of a run, and so may decide on it.
 * @throws ProblemError `not_found`
 */
export async function requireVisibleRun(db: Database, principal: Principal, id: string): Promise<void> {
  await readOwnRow(db, principal, id)
}

function readOwnRow(db: Database, principal: Principal, id: string): Promise<Row> {
  return readAs(db, principal, async (tx) => {
    const row = await readRow(tx, principal, id)
    if (!row.own) throw runNotFound(id)
    return row
  })
}

async function readRow(tx: ReadTx, principal: Principal, id: string): Promise<Row> {
  const [row] = await readRows(tx, principal, sql`and r.id = ${id}::uuid`)
  if (!row) throw runNotFound(id)
  return row
}

function runNotFound(id: string): ProblemError {
  return new ProblemError(
    'not_found',
    `The run ${id} does not exist, or you have no access to it. Old runs are removed once no value depends on them.`,
  )
}

/**
 * Returns the current request of a run, for runners that got a request without its data. The reader must be allowed
 * to see all companies, warehouses and metrics in it.
 * @throws ProblemError `not_found`, `forbidden`
 */
export async function readRequest(db: Database, principal: Principal, id: string): Promise<MetricRunRequest> {
  const { attempt } = await readOwnRow(db, principal, id)
  const [request] = await readRunRequests(db, [id])
  if (!request || attempt === 0)
    throw new ProblemError('not_found', `The run ${id} has not been requested yet, so it has no request.`)
  if (!(await mayReadRequest(db, principal, request)))
    throw new ProblemError(
      'forbidden',
      'The request contains companies, warehouses or metrics that you have no access to. Read it as a user who has access.',
    )
  return request
}

/** Returns whether a reader may see the companies, warehouses, inputs and metrics of a request. */
function mayReadRequest(db: Database, principal: Principal, request: MetricRunRequest): Promise<boolean> {
  return readAs(db, principal, async (tx) => {
    const { whole } = await readRow(tx, principal, request.runId)
    if (!whole || (await namesHiddenMetrics(tx, principal, request))) return false
    const ids = request.inputs.map(({ updateId }) => updateId)
    const beyond = await sql`select from dataset_updates u
      where u.id = any (${ids}::uuid[]) and not ${updateWithinReader} limit 1`.execute(tx)
    return beyond.rows.length === 0
  })
}

async function readRows(tx: ReadTx, principal: Principal, where: RawBuilder<unknown>): Promise<Row[]> {
  const { rows } = await sql<Row>`
    select r.id, m.code as metric, r.metric_version as version, r.status, r.cause, ${visibleOccurredAt} as occurred_at,
      ${runOverlapsReader} as own, ${runWithinReader} as whole, r.days::text as days,
      (case when not ${nextOverlapsReader} then '{}' when ${nextWithinReader} then r.next_days end)::text as next_days,
      ${visibleScope('companies')} as companies, ${visibleScope('warehouses')} as warehouses, r.attempt,
      r.progress, r.message, r.runner, r.row_count, r.output_days::text as output_days, ${pendingDatasets} as waits_for, ${visibleError} as error, r.taken_over_by, case when r.status = 'PENDING' and ${runWithinReader} then r.expires_at end as expires_at, r.requested_at,
      r.started_at, r.last_heartbeat_at, r.retry_at, r.completed_at, r.created_at,
      to_char(r.created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as created_text, r.updated_at
    from metric_runs r join metrics m on m.id = r.metric_id
      join metric_versions v on v.metric_id = m.id and v.version = m.current_version
    where ${isVisibleToRole(principal)} and (${runOverlapsReader} or ${nextOverlapsReader}) ${where}`.execute(
    tx,
  )
  return rows
}

function runOf(row: Row): MetricRun {
  const showsResults = row.own && row.whole
  return {
    ...MetricRun.pick({ id: true, metric: true, version: true, status: true, cause: true }).parse({
      id: row.id,
      metric: row.metric,
      version: row.version,
      status: row.status,
      cause: row.cause,
    }),
    occurredAt: row.occurred_at.toISOString(),
    asOf: row.occurred_at.toISOString().slice(0, 10),
    days: row.own ? daysOrNull(row.whole ? row.days : null) : [],
    nextDays: daysOrNull(row.next_days),
    companies: row.companies,
    warehouses: row.warehouses,
    attempt: row.attempt,
    progress: Number(row.progress),
    message: showsResults ? row.message : '',
    runner: row.runner,
    rowCount: showsResults && row.row_count !== null ? Number(row.row_count) : null,
    outputDays: showsResults && row.output_days !== null ? fromMultirange(row.output_days) : null,
    waitsFor: MetricRun.shape.waitsFor.parse(row.waits_for),
    error: MetricRun.shape.error.parse(row.error),
    takenOverBy: row.taken_over_by,
    expiresAt: textOf(row.expires_at),
    requestedAt: textOf(row.requested_at),
    startedAt: textOf(row.started_at),
    lastHeartbeatAt: textOf(row.last_heartbeat_at),
    retryAt: textOf(row.retry_at),
    completedAt: textOf(row.completed_at),
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  }
}

/**
 * Returns the updates of a run that the reader may see, in the order in which they happened. Jobs that the reader may not
 * see are left out.
 */
async function inputsOf(tx: ReadTx, { id, own }: Row): Promise<unknown[]> {
  const { rows } = await sql<{ days: string | null }>`
    select u.id as "updateId", d.code as dataset, u.event_key as "eventKey",
      ${instant(sql`u.occurred_at`)} as "occurredAt", i.for_next as "forNext",
      case when ${updateWithinReader} then u.days::text end as days,
      case when ${updateWithinReader} then u.rows::float8 end as rows,
      case when j.id is not null then json_build_object('id', j.id, 'file', f.file_name) end as job
    from run_dataset_updates i join dataset_updates u on u.id = i.update_id join datasets d on d.id = u.dataset_id
      left join jobs j on j.id = u.job_id left join imports f on f.job_id = j.id
    where i.run_id = ${id} and (${own} or i.for_next) and ${updateOverlapsReader} order by u.occurred_at, u.id`.execute(
    tx,
  )
  return rows.map((row) => ({ ...row, days: daysOrNull(row.days) }))
}

async function resultsOf(tx: ReadTx, id: string): Promise<unknown> {
  const row = await tx
    .selectFrom('metric_runs')
    .select(['manifest', 'job_id'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  if (row.job_id === null) return null
  const { url, sha256, rowCount } = AnnouncedResults.parse(row.manifest)
  const job = await tx.selectFrom('jobs').select('id').where('id', '=', row.job_id).executeTakeFirst()
  return { url, sha256, rowCount, job: job?.id ?? null }
}

async function awaitedDatasetsOf(tx: ReadTx, id: string): Promise<unknown[]> {
  const { rows } = await sql`
    select d.code as dataset, p.required_days as "requiredDays",
      ${visibleDeadline} as until,
      u.id as "satisfiedBy", ${instant(sql`p.satisfied_at`)} as "satisfiedAt"
    from metric_run_pending_datasets p join metric_runs r on r.id = p.run_id join datasets d on d.id = p.dataset_id
      left join dataset_updates u on u.id = p.satisfied_by and ${updateOverlapsReader}
    where p.run_id = ${id} order by d.code`.execute(tx)
  return rows
}
