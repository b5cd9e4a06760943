import { setTimeout as delay } from 'node:timers/promises'
import { openFiles } from '@aduana/testkit/open-files'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { DeadlineError, until } from '@aduana/testkit/until'
import { z } from 'zod'
import { brokenGuarantees } from '../guarantees.ts'
import { watchChannel } from '../progress/channel.ts'
import { type SocketWatch, watchSocket } from '../progress/socket.ts'
import { compareContents, readContents } from './compare.ts'
import { injectFault, retryFailed } from './faults.ts'
import type { PlannedImport } from './files.ts'
import { type Fleet, startFleet } from './fleet.ts'
import { wrongMetrics } from './metrics.ts'
import type { Plan } from './plan.ts'

export interface RunReport {
  seed: number
  /** What is broken; empty when everything holds. */
  broken: string[]
  /** The number of jobs by final state, and of faults by kind. */
  endings: Record<string, number>
  faults: Record<string, number>
  seconds: number
}

/** How long everything may take to settle after the last fault. */
const SETTLE_MS = 240_000

/**
 * Imports the files of a plan while its faults are injected, waits until everything has settled, and returns what is broken:
 * guarantees, also in the messages to a client; files that workers hold open; metrics with other values than plain SQL; and
 * each difference from the result of the same imports without faults, in the order in which they loaded.
 */
export async function runPlan(plan: Plan): Promise<RunReport> {
  const began = performance.now()
  const system = await createTestSystem({ metrics: true })
  let fleet: Fleet | undefined
  let client: SocketWatch | undefined
  const channel = await watchChannel(system)
  try {
    client = await watchSocket(system)
    fleet = await startFleet(system, plan.workers)
    const accepted = new Map<string, PlannedImport>()
    const faults = await underFaults(plan, system, fleet, accepted)
    const broken = await settle(system)
    if (broken.length === 0) broken.push(...(await wrongMetrics(system, SETTLE_MS)))
    broken.push(...channel.broken(), ...(await client.broken()), ...(await filesLeftOpen(system, fleet)))
    await fleet.stop()
    broken.push(...(await brokenGuarantees(system.database.pool, system.store)))
    const jobs = await readJobs(system)
    broken.push(...wrongEndings(jobs, accepted))
    if (broken.length === 0) broken.push(...(await differences(system, jobs, accepted)))
    const endings = count(jobs.map(({ status }) => status))
    return { seed: plan.seed, broken, endings, faults, seconds: (performance.now() - began) / 1000 }
  } finally {
    channel.close()
    await client?.close()
    await fleet?.stop()
    await system.close()
  }
}

/** Returns files of the installation that workers hold open although all work has ended. */
async function filesLeftOpen(system: TestSystem, fleet: Fleet): Promise<string[]> {
  const openNow = async () => {
    const open = await Promise.all(fleet.workers().map(({ pid }) => openFiles(system.dataDir, pid)))
    return open.flat()
  }
  try {
    await until(async () => (await openNow()).length === 0, { what: 'all files are closed' })
    return []
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error
    return (await openNow()).map((file) => `a worker holds ${file} open`)
  }
}

async function underFaults(
  plan: Plan,
  system: TestSystem,
  fleet: Fleet,
  accepted: Map<string, PlannedImport>,
): Promise<Record<string, number>> {
  let arriving = true
  const accepting = (async () => {
    for (const planned of plan.imports) {
      accepted.set(await system.accept(planned.content, planned.form), planned)
      await delay(plan.pace)
    }
  })().finally(() => {
    arriving = false
  })
  const injected: string[] = []
  for (let index = 0; arriving; index += 1) {
    const fault = plan.faults[index % plan.faults.length]
    if (!fault) break
    await Promise.race([delay(fault.after), accepting])
    if (!arriving) break
    await injectFault({ system, fleet, accepted }, fault)
    injected.push(fault.kind)
  }
  await accepting
  return count(injected)
}

/** Waits until every job is final, and retries jobs that failed because of faults. Returns an error if jobs stay open. */
async function settle(system: TestSystem): Promise<string[]> {
  const open = `select from jobs where completed_at is null`
  try {
    await until(
      async () =>
        (await system.database.pool.query(open)).rowCount === 0 && (await retryFailed(system)) === 0,
      { within: SETTLE_MS, what: 'all jobs are final' },
    )
    return []
  } catch (error) {
    if (error instanceof DeadlineError) return [`G4: ${error.message}`]
    throw error
  }
}

const Jobs = z.array(
  z.object({ id: z.uuid(), status: z.string(), code: z.string().nullable(), loaded: z.boolean() }),
)
type JobEnding = z.infer<typeof Jobs>[number]

/** Returns the jobs in the order in which they loaded. Jobs that did not load are last. */
async function readJobs(system: TestSystem): Promise<JobEnding[]> {
  const rows = await system.database.pool.query(
    `select id, status, error->>'code' as code, loaded_at is not null as loaded from jobs order by loaded_at, created_at`,
  )
  return Jobs.parse(rows.rows)
}

function wrongEndings(jobs: readonly JobEnding[], accepted: ReadonlyMap<string, PlannedImport>): string[] {
  return jobs.flatMap(({ id, status, code }) => {
    const alwaysFails = accepted.get(id)?.alwaysFails === true
    const expected = alwaysFails ? status === 'FAILED' && code === 'too_many_rejects' : status === 'COMPLETED'
    return expected || status === 'CANCELLED' ? [] : [`job ${id} ended as ${status} ${code ?? ''}`]
  })
}

async function differences(
  system: TestSystem,
  jobs: readonly JobEnding[],
  accepted: ReadonlyMap<string, PlannedImport>,
): Promise<string[]> {
  const loaded = jobs.flatMap(({ id, loaded: isLoaded }) => {
    const planned = accepted.get(id)
    return isLoaded && planned ? [planned] : []
  })
  const expected = await withoutFaults(loaded)
  return compareContents(await readContents(system.database.pool), expected)
}

/** Returns the result of the same imports in a new installation, one after the other in each dataset. */
async function withoutFaults(imports: readonly PlannedImport[]) {
  const system = await createTestSystem({ workers: 1 })
  try {
    const datasets = [...new Set(imports.map(({ form }) => form.dataset))]
    await Promise.all(
      datasets.map(async (dataset) => {
        for (const { content, form } of imports)
          if (form.dataset === dataset) await system.import(content, form)
      }),
    )
    return await readContents(system.database.pool)
  } finally {
    await system.close()
  }
}

function count(items: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const item of items) counts[item] = (counts[item] ?? 0) + 1
  return counts
}
