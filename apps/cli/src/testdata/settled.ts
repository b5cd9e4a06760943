import { setTimeout as delay } from 'node:timers/promises'
import type { MetricRun } from '@aduana/contracts/metrics/http-runs'
import { OPEN_RUNS, type RunStatus } from '@aduana/contracts/metrics/runs'
import type { Api } from '../api/api.ts'
import { listRuns } from '../api/metric-calls.ts'
import { ConnectionError } from '../errors.ts'

const POLL_MS = 500
const MAX_RUNS = 10_000

/** Time without any change after which no worker seems to compute runs. */
const STALL_TIMEOUT_MS = 120_000

/** Returns the ids of the newest runs. */
export async function knownRuns(api: Api): Promise<Set<string>> {
  return new Set((await listRuns(api, { limit: MAX_RUNS })).map(({ id }) => id))
}

/**
 * Resolves when no metric run is active. A run that waits for a dataset update is not active.
 * @throws ConnectionError after two minutes without any change
 */
export async function untilSettled(api: Api): Promise<void> {
  let seen = ''
  let changedAt = performance.now()
  for (;;) {
    const open = await runsAtWork(api)
    if (open.length === 0) return
    const state = open.map(({ id, status, updatedAt }) => `${id} ${status} ${updatedAt}`).join()
    if (state !== seen) changedAt = performance.now()
    seen = state
    if (performance.now() - changedAt > STALL_TIMEOUT_MS)
      throw new ConnectionError(
        `${open.length} metric runs make no progress. Start a worker whose ADUANA_METRIC_CONCURRENCY is not 0.`,
      )
    await delay(POLL_MS, undefined, { signal: api.signal }).catch(() => api.signal.throwIfAborted())
  }
}

async function runsAtWork(api: Api): Promise<MetricRun[]> {
  const lists = await Promise.all(OPEN_RUNS.map((status) => listRuns(api, { status, limit: MAX_RUNS })))
  return lists.flat().filter(({ status, waitsFor }) => status !== 'PENDING' || waitsFor.length === 0)
}

/** Returns the number of runs by status, without those in `before`. */
export async function newRuns(api: Api, before: ReadonlySet<string>): Promise<Map<RunStatus, number>> {
  const counts = new Map<RunStatus, number>()
  for (const { id, status } of await listRuns(api, { limit: MAX_RUNS }))
    if (!before.has(id)) counts.set(status, (counts.get(status) ?? 0) + 1)
  return counts
}
