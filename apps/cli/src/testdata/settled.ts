import { setTimeout as delay } from 'node:timers/promises'
import type { MetricRun } from '@aduana/contracts/metrics/http-runs'
import type { RunStatus } from '@aduana/contracts/metrics/runs'
import type { Api } from '../api/api.ts'
import { listRuns } from '../api/metric-calls.ts'
import { ConnectionError } from '../errors.ts'

const POLL_MS = 500
const AT_WORK: readonly RunStatus[] = ['PENDING', 'REQUESTED', 'RUNNING', 'TIMED_OUT']
const MAX_RUNS = 10_000

/** Without any change for so long nobody seems to compute. */
const STALL_TIMEOUT_MS = 120_000

/** The ids of the newest runs. */
export async function knownRuns(api: Api): Promise<Set<string>> {
  return new Set((await listRuns(api, { limit: MAX_RUNS })).map(({ id }) => id))
}

/**
 * Wait until no run of a metric is at work any more; one that waits for a dataset that has not come is not at work.
 * @throws ConnectionError when nothing has moved for two minutes
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
        `${open.length} runs of metrics do not go on. Is there a worker whose ADUANA_METRIC_CONCURRENCY is not 0?`,
      )
    await delay(POLL_MS, undefined, { signal: api.signal }).catch(() => api.signal.throwIfAborted())
  }
}

async function runsAtWork(api: Api): Promise<MetricRun[]> {
  const lists = await Promise.all(AT_WORK.map((status) => listRuns(api, { status, limit: MAX_RUNS })))
  return lists.flat().filter(({ status, waitsFor }) => status !== 'PENDING' || waitsFor.length === 0)
}

/** How many runs that are not among `before` are in each state. */
export async function newRuns(api: Api, before: ReadonlySet<string>): Promise<Map<RunStatus, number>> {
  const counts = new Map<RunStatus, number>()
  for (const { id, status } of await listRuns(api, { limit: MAX_RUNS }))
    if (!before.has(id)) counts.set(status, (counts.get(status) ?? 0) + 1)
  return counts
}
