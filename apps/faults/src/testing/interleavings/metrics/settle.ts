import { inTransaction, type Tx } from '@aduana/db/database'
import { readRunRequests } from '@aduana/metrics/requests/payload'
import { claimRuns } from '@aduana/metrics/runner/claim'
import { checkExpired, checkFailedImports, checkTimeouts } from '@aduana/metrics/runs/maintenance'
import { retryRun } from '@aduana/metrics/runs/manual'
import { completeRuns } from '@aduana/metrics/runs/runner-events'
import { fanOutUpdate } from '@aduana/metrics/updates/fan-out'
import { createLogger } from '@aduana/runtime/logger'
import type { TestDatabase } from '@aduana/testkit/database'
import type { MetricWorld } from './worlds.ts'

const logger = createLogger({ name: 'test', level: 'silent', pretty: false })

/** Rounds after which no work may be left. */
const MAX_ROUNDS = 12
/** A retried run computes values, and a dependent run may then expire and need a retry. */
const MAX_RETRIES = 3

interface OpenRun {
  id: string
  attempt: number
  status: string
  job_id: string | null
}

/**
 * Does all remaining work of the processes of Aduana, the runners and the users: fans out updates, computes requested
 * runs, requests timed-out runs again, expires pending runs, and retries failed and expired ones. Returns the runs that
 * stay open or failed.
 */
export async function settleRuns(database: TestDatabase, world: MetricWorld): Promise<string[]> {
  await drain(database, world)
  for (let retries = 0; retries <= MAX_RETRIES; retries += 1) {
    await expireAll(database)
    await drain(database, world)
    const failed = await failedRuns(database)
    if (failed.length === 0) break
    for (const id of failed) await inTransaction(database.db, (tx) => retryRun(tx, id, null))
    await drain(database, world)
  }
  const left = (await openRuns(database)).map(({ id, status }) => `${id} ${status}`)
  return [...left, ...(await failedRuns(database))].map((run) => `an open or failed run: ${run}`)
}

async function drain(database: TestDatabase, world: MetricWorld): Promise<void> {
  for (let round = 0; round < MAX_ROUNDS; round += 1) if (!(await runRound(database, world))) return
  throw new Error(`runs are requested without end: ${JSON.stringify(await openRuns(database))}`)
}

/** Runs one round. Returns whether there was work. */
async function runRound(database: TestDatabase, world: MetricWorld): Promise<boolean> {
  const { db, pool } = database
  const updates = await pool.query<{ id: string }>(
    'select id from dataset_updates where fanned_out_at is null order by id',
  )
  for (const { id } of updates.rows) await inTransaction(db, (tx) => fanOutUpdate(tx, id))
  const open = await openRuns(database)
  const has = (state: string) => open.some(({ status }) => status === state)
  if (has('TIMED_OUT')) {
    await pool.query(
      `update metric_runs set retry_at = now() - interval '1 second' where status = 'TIMED_OUT'`,
    )
    await checkTimeouts(db, logger)
  }
  if (open.some((run) => run.job_id !== null)) await cancelImports(database)
  for (const run of open) {
    if (run.job_id !== null) continue
    if (run.status === 'RUNNING') await inTransaction(db, (tx) => complete(tx, world, run))
    else if (run.status === 'REQUESTED') await serveRequest(database, world, run)
  }
  return updates.rows.length > 0 || open.some(({ status }) => status !== 'PENDING')
}

/** Cancels the imports of results, so that their runs fail. */
async function cancelImports({ db, pool }: TestDatabase): Promise<void> {
  await pool.query(`begin; delete from window_locks; delete from window_waiters;
    update jobs set status = 'CANCELLED', completed_at = now() where completed_at is null; commit`)
  await checkFailedImports(db, logger)
}

/** Starts a requested run in the built-in runner, or completes it as an external runner. */
async function serveRequest({ db }: TestDatabase, world: MetricWorld, run: OpenRun): Promise<void> {
  const [request] = await readRunRequests(db, [run.id])
  if (request?.runner === 'external') await inTransaction(db, (tx) => complete(tx, world, run))
  else world.begun.push(...(await claimRuns(db, run.id, 'runner')).runs)
}

/** Completes a run with the days of its claim in the built-in runner, or of its request to an external runner. */
async function complete(tx: Tx, { begun }: MetricWorld, { id: runId, attempt }: OpenRun): Promise<void> {
  const claim = begun.findLast((one) => one.runId === runId && one.attempt === attempt)
  const [request] = await readRunRequests(tx, [runId])
  const days = [...(claim?.days ?? request?.days ?? [])]
  const at = new Date().toISOString()
  await completeRuns(tx, [{ runId, attempt, at, status: 'succeeded', rowCount: 1, days }])
}

/** Expires all pending runs. */
async function expireAll({ db, pool }: TestDatabase): Promise<void> {
  await pool.query(`update metric_runs set expires_at = now() - interval '1 second' where status = 'PENDING'`)
  await checkExpired(db, logger)
}

async function openRuns({ pool }: TestDatabase): Promise<OpenRun[]> {
  const { rows } = await pool.query<OpenRun>(
    `select id, attempt, status, job_id from metric_runs where completed_at is null order by created_at, id`,
  )
  return rows
}

async function failedRuns({ pool }: TestDatabase): Promise<string[]> {
  const { rows } = await pool.query<{ id: string }>(
    `select r.id from metric_runs r join metrics m on m.id = r.metric_id
     where r.status in ('FAILED', 'EXPIRED') and r.taken_over_by is null and m.retired_at is null order by r.created_at, r.id`,
  )
  return rows.map(({ id }) => id)
}
