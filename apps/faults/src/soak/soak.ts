import { setTimeout as delay } from 'node:timers/promises'
import { pruneExpired } from '@aduana/jobs/retention/housekeeping'
import { createLogger } from '@aduana/runtime/logger'
import { createRandom } from '@aduana/testkit/random'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { DeadlineError, until } from '@aduana/testkit/until'
import { injectFault } from '../driver/faults.ts'
import type { PlannedImport } from '../driver/files.ts'
import { type Fleet, startFleet } from '../driver/fleet.ts'
import { wrongMetrics } from '../driver/metrics.ts'
import type { FaultKind } from '../driver/plan.ts'
import { brokenGuarantees } from '../guarantees.ts'
import { findLeftovers } from './leftovers.ts'
import { actOnJobs, type Load, readAtRandom, upload } from './load.ts'
import { countWarnings } from './log-summary.ts'
import { measureProcesses, type ProcessUsage } from './process-usage.ts'
import { createResponses } from './responses.ts'
import { measureStored, type Stored } from './stored.ts'
import { type SupervisedApi, startSupervisedApi } from './supervised-api.ts'

export interface SoakPlan {
  seed: number
  minutes: number
  workers: number
  /** Milliseconds between two uploads of one of three uploaders, on average. */
  pace: number
}

/** The resources of the processes of one kind: the maximum, and those at the end, when no work is left. */
export interface Usage {
  most: ProcessUsage
  last: ProcessUsage[]
}

export interface SoakReport {
  /** What is broken; empty when everything holds. */
  broken: string[]
  imports: number
  endings: Record<string, number>
  failures: Record<string, number>
  responses: Record<string, number>
  failedStarts: readonly string[]
  faults: Record<string, number>
  left: Record<string, string[]>
  /** What housekeeping removed at the end. */
  pruned: Record<string, number>
  before: Stored
  after: Stored
  usage: Record<string, Usage>
  warnings: ReturnType<typeof countWarnings>
  deadlocks: number
}

/** Time in which all work must end after the last fault. */
const SETTLE_MS = 600_000
const SAMPLE_MS = 10_000
const FAULTS: readonly (FaultKind | 'kill-api')[] = [
  ...(['kill', 'kill', 'kill', 'stop', 'stop', 'term', 'term-all', 'wipe'] as const),
  ...(['terminate', 'terminate', 'storm', 'kill-api'] as const),
]

/**
 * Puts an installation under mixed load over HTTP while processes, connections and Redis fail at random. Then waits until
 * all work has ended, and reports leftovers, growth and logged warnings.
 */
export async function runSoak(plan: SoakPlan, print: (line: string) => void): Promise<SoakReport> {
  const system = await createTestSystem({ metrics: true })
  let fleet: Fleet | undefined
  let api: SupervisedApi | undefined
  try {
    const before = await measureStored(system)
    ;[fleet, api] = await Promise.all([startFleet(system, plan.workers), startSupervisedApi(system)])
    return await soak({ plan, print, system, fleet, api, before })
  } finally {
    await Promise.all([fleet?.stop(), api?.stop()])
    await system.close()
  }
}

interface Soak {
  plan: SoakPlan
  print: (line: string) => void
  system: TestSystem
  fleet: Fleet
  api: SupervisedApi
  before: Stored
}

async function soak(given: Soak): Promise<SoakReport> {
  const { plan, print, system, fleet, api, before } = given
  const responses = createResponses()
  const load: Load = {
    ...{ api, responses, alwaysFails: new Set(), ended: within(plan.minutes) },
    open: () => readCount(system, 'completed_at is null'),
  }
  const meter = startMeter(given)
  const [faults] = await Promise.all([
    failAtRandom(given, load),
    ...[1, 2, 3].map((one) => upload(load, plan.seed, one, plan.pace)),
    ...[4, 5].map((one) => actOnJobs(load, plan.seed + one, 2 * plan.pace)),
    readAtRandom(load, plan.seed + 6, plan.pace),
    printProgress(given, load),
  ])

  print('no more load and no more faults; all work must end now')
  const broken = await settle(given, load)
  if (broken.length === 0) broken.push(...(await wrongMetrics(system, SETTLE_MS)))
  // Late releases complete during this pause.
  await delay(SAMPLE_MS)
  const usage = await meter.stop()
  const left = await findLeftovers(system)
  await fleet.stop()
  await api.stop()
  const pruned = await prune(system)
  broken.push(...(await brokenGuarantees(system.database.pool, system.store)))
  broken.push(
    ...brokenByLeftovers(left, await findLeftovers(system)),
    ...brokenByUsage(usage),
    ...responses.faults(),
  )
  const deadlocks = await readDeadlocks(system)
  if (deadlocks > 0) broken.push(`${deadlocks} deadlocks in PostgreSQL`)
  const failures = await countJobs(system, `error->>'code'`, `status = 'FAILED'`)
  if (failures.internal !== undefined) broken.push(`${failures.internal} jobs failed with "internal"`)
  return {
    ...{ broken, left, pruned, usage, faults, before, deadlocks, failures },
    imports: await readCount(system, `type = 'import'`),
    endings: await countJobs(system, `type || ' ' || status`, 'true'),
    responses: responses.counts(),
    failedStarts: api.failedStarts(),
    after: await measureStored(system),
    warnings: countWarnings([...system.processes(), ...api.processes()].flatMap(({ lines }) => lines)),
  }
}

function within(minutes: number): () => boolean {
  const end = Date.now() + minutes * 60_000
  return () => Date.now() >= end
}

async function failAtRandom({ plan, system, fleet, api }: Soak, load: Load): Promise<Record<string, number>> {
  const random = createRandom(plan.seed)
  const accepted = new Map<string, PlannedImport>()
  const injected: Record<string, number> = {}
  for (;;) {
    await delay(random.int(3000, 15_000))
    if (load.ended()) return injected
    const kind = random.pick(FAULTS)
    if (kind === 'kill-api') api.kill()
    else {
      const fault = { kind, after: 0, where: random.next(), length: random.int(200, 20_000) }
      await injectFault({ system, fleet, accepted }, fault)
    }
    injected[kind] = (injected[kind] ?? 0) + 1
  }
}

async function printProgress({ system, print }: Soak, load: Load): Promise<void> {
  while (!load.ended()) {
    await delay(SAMPLE_MS)
    const endings = await countJobs(system, 'status', 'true')
    print(describeCounts(endings))
  }
}

/** Returns counts as `name count, name count`. */
export function describeCounts(counts: Record<string, number>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')
}

/**
 * Cancels the jobs that wait for an approval or a later start time, and waits until every job is final. Returns an error if
 * jobs stay open.
 */
async function settle({ system }: Soak, load: Load): Promise<string[]> {
  for (const process of system.processes()) process.signal('SIGCONT')
  try {
    await until(
      async () => {
        await cancelWaiting(system, load)
        return (await readCount(system, 'completed_at is null')) === 0
      },
      { within: SETTLE_MS, what: 'all jobs are final' },
    )
    return []
  } catch (error) {
    if (error instanceof DeadlineError) return [`G4: ${error.message}`]
    throw error
  }
}

async function cancelWaiting({ database }: TestSystem, load: Load): Promise<void> {
  const rows = await database.pool.query<{ id: string }>(`select id from jobs
    where completed_at is null and (waiting_for = 'approval' or start_at > now() + interval '1 minute')`)
  for (const { id } of rows.rows)
    await load.responses.record(
      'cancel',
      await load.api.request(`/api/jobs/${id}/cancel`, { method: 'POST' }),
    )
}

/** Measures the processes repeatedly until stopped. */
function startMeter({ system, fleet, api }: Soak): { stop(): Promise<Record<string, Usage>> } {
  const usage: Record<string, Usage> = {}
  const measure = async (kind: string, pids: readonly number[]) => {
    const now = await measureProcesses(pids, system.dataDir)
    const nothing = { pid: 0, rss: 0, descriptors: 0, deletedFiles: 0, deletedBytes: 0 }
    const most = now.reduce(larger, usage[kind]?.most ?? nothing)
    usage[kind] = { most, last: now }
  }
  const sample = async () => {
    await measure(
      'worker',
      fleet.workers().map(({ pid }) => pid),
    )
    await measure(
      'API',
      api.processes().flatMap((process) => (process.alive() ? [process.pid] : [])),
    )
  }
  const stopping = new AbortController()
  const sampling = (async () => {
    while (!stopping.signal.aborted) {
      await sample()
      await delay(SAMPLE_MS, undefined, { signal: stopping.signal }).catch(() => undefined)
    }
  })()
  return {
    stop: async () => {
      stopping.abort()
      await sampling
      await sample()
      return usage
    },
  }
}

function larger(one: ProcessUsage, other: ProcessUsage): ProcessUsage {
  return {
    pid: other.rss > one.rss ? other.pid : one.pid,
    rss: Math.max(one.rss, other.rss),
    descriptors: Math.max(one.descriptors, other.descriptors),
    deletedFiles: Math.max(one.deletedFiles, other.deletedFiles),
    deletedBytes: Math.max(one.deletedBytes, other.deletedBytes),
  }
}

/** Runs housekeeping as of two hours later, when no file can still be in transit. */
function prune({ database, store }: TestSystem): Promise<Record<string, number>> {
  const logger = createLogger({ name: 'soak', level: 'silent', pretty: false })
  return pruneExpired(database.db, store, logger, new Date(Date.now() + 2 * 3_600_000))
}

/** Leftovers of dead processes that housekeeping removes break no promise. All others do. */
const REMOVED_BY_HOUSEKEEPING = ['files without a job', 'tables of loads']

function brokenByLeftovers(before: Record<string, string[]>, after: Record<string, string[]>): string[] {
  const kinds = Object.entries(before).filter(([kind]) => !REMOVED_BY_HOUSEKEEPING.includes(kind))
  const remaining = Object.entries(after).filter(([kind]) => REMOVED_BY_HOUSEKEEPING.includes(kind))
  return [...kinds, ...remaining].map(
    ([kind, places]) => `leftovers: ${places.length} ${kind}: ${places.slice(0, 5).join('; ')}`,
  )
}

function brokenByUsage(usage: Record<string, Usage>): string[] {
  return Object.entries(usage).flatMap(([kind, { last }]) =>
    last
      .filter(({ deletedFiles }) => deletedFiles > 0)
      .map(
        ({ pid, deletedFiles, deletedBytes }) =>
          `${kind} ${pid} holds ${deletedFiles} deleted files open (${deletedBytes} bytes)`,
      ),
  )
}

async function readDeadlocks({ database }: TestSystem): Promise<number> {
  const rows = await database.pool.query<{ deadlocks: string }>(
    'select deadlocks from pg_stat_database where datname = current_database()',
  )
  return Number(rows.rows[0]?.deadlocks ?? 0)
}

async function readCount({ database }: TestSystem, condition: string): Promise<number> {
  const rows = await database.pool.query<{ n: number }>(
    `select count(*)::int as n from jobs where ${condition}`,
  )
  return rows.rows[0]?.n ?? 0
}

async function countJobs(
  { database }: TestSystem,
  by: string,
  condition: string,
): Promise<Record<string, number>> {
  const rows = await database.pool.query<{ kind: string; n: number }>(
    `select ${by} as kind, count(*)::int as n from jobs where ${condition} group by 1 order by 1`,
  )
  return Object.fromEntries(rows.rows.map(({ kind, n }) => [kind, n]))
}
