import { MetricDefinition } from '@aduana/contracts/metrics/definition'
import { MAX_ATTEMPTS } from '@aduana/contracts/metrics/runs'
import { LOCKS, takeLock } from '@aduana/db/advisory-locks'
import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import type { RunToCompute } from '@aduana/metric-compute/compute/plan'
import { fromMultirange } from '@aduana/metric-compute/expressions/multirange'
import { sql } from 'kysely'
import { startRuns } from '../runs/runner-events.ts'

/** A run that this runner has started. */
export interface ClaimedRun extends RunToCompute {
  attempt: number
}

/** The runs that a runner has claimed. */
export interface Claim {
  runs: ClaimedRun[]
  /** Runs whose definition cannot be parsed, with the reason. */
  unreadable: { runId: string; attempt: number; detail: string }[]
}

/** A run that can be claimed. */
interface ClaimableRun {
  id: string
  attempt: number
}

/**
 * The maximum number of runs computed together, by attempt. A run that kills its runner affects fewer and fewer
 * others.
 */
const MAX_RUNS_BY_ATTEMPT = [2000, 200, 20, 5, 1] as const
/** Seconds after which a request that is not claimed counts as lost. */
const LOST_AFTER_SECONDS = 3

const isBuiltin = sql<boolean>`v.definition ->> 'runner' = 'builtin'`

/** Returns a run whose request is lost, lowest level first; undefined when there is none. */
export function findLostRequest(db: Database): Promise<string | undefined> {
  return findRequested(db, LOST_AFTER_SECONDS)
}

/**
 * Returns a run that has been requested for at least some seconds and is not started, lowest level first; undefined
 * when there is none.
 */
export async function findRequested(db: Database, seconds = 0): Promise<string | undefined> {
  const rows = await sql<{ id: string }>`select r.id
    from metric_runs r join metrics m on m.id = r.metric_id
      join metric_versions v on v.metric_id = r.metric_id and v.version = r.metric_version
    where r.status = 'REQUESTED' and ${isBuiltin}
      and r.requested_at <= clock_timestamp() - ${seconds} * interval '1 second'
    order by m.level, r.requested_at, r.id limit 1`.execute(db)
  return rows.rows[0]?.id
}

/** Starts a requested run and, with it, all other requested runs of metrics that share a dataset with its metric. */
export function claimRuns(db: Database, runId: string, runner: string): Promise<Claim> {
  return inTransaction(db, async (tx) => {
    // One claim at a time, so that a later one sees which runs an earlier one has started.
    await takeLock(tx, LOCKS.metricClaim)
    const found = await findClaimable(tx, runId)
    const at = new Date().toISOString()
    const events = found.map(({ id, attempt }) => ({ runId: id, attempt, at, runner }))
    const outcomes = await startRuns(tx, events)
    return readClaimed(
      tx,
      found.filter((_, index) => outcomes[index] === 'applied'),
    )
  })
}

async function findClaimable(tx: Tx, runId: string): Promise<ClaimableRun[]> {
  const rows = await sql<ClaimableRun>`
    with seed as (
      select r.metric_id, (r.attempt - 1) % ${MAX_ATTEMPTS} as tries from metric_runs r
      where r.id = ${runId} and r.status = 'REQUESTED'
    ), together as (
      select distinct d.metric_id from metric_dependencies d
      where d.dataset_id in (select o.dataset_id from metric_dependencies o join seed using (metric_id))
      union select metric_id from seed
    )
    select r.id, r.attempt from metric_runs r join together using (metric_id) join metrics m on m.id = r.metric_id
      join metric_versions v on v.metric_id = r.metric_id and v.version = r.metric_version cross join seed s
    where r.status = 'REQUESTED' and ${isBuiltin} and (r.attempt - 1) % ${MAX_ATTEMPTS} = s.tries
    order by r.id = ${runId} desc, m.level, r.requested_at, r.id
    limit (select (array[${sql.join(MAX_RUNS_BY_ATTEMPT)}]::integer[])[s.tries + 1] from seed s)
    for no key update of r skip locked`.execute(tx)
  return rows.rows
}

interface Row {
  id: string
  attempt: number
  code: string
  days: string
  companies: string[] | null
  warehouses: string[] | null
  definition: unknown
}

async function readClaimed(tx: Tx, claimed: readonly ClaimableRun[]): Promise<Claim> {
  const rows =
    await sql<Row>`select r.id, r.attempt, m.code, r.days::text as days, r.companies, r.warehouses, v.definition
    from metric_runs r join metrics m on m.id = r.metric_id
      join metric_versions v on v.metric_id = r.metric_id and v.version = r.metric_version
    where r.id = any (${claimed.map(({ id }) => id)}::uuid[]) order by m.level, m.code`.execute(tx)
  const claim: Claim = { runs: [], unreadable: [] }
  for (const { id: runId, attempt, days, companies, warehouses, ...row } of rows.rows) {
    const definition = MetricDefinition.safeParse(row.definition)
    if (!definition.success) claim.unreadable.push({ runId, attempt, detail: definition.error.message })
    else
      claim.runs.push({
        runId,
        attempt,
        definition: definition.data,
        days: fromMultirange(days),
        companies,
        warehouses,
      })
  }
  return claim
}
