import { setTimeout as delay } from 'node:timers/promises'
import { openFiles } from '@aduana/testkit/open-files'
import { createTestSystem, type TestSystem } from '@aduana/testkit/system'
import { DeadlineError, until } from '@aduana/testkit/until'
import { z } from 'zod'
import { brokenGuarantees } from '../guarantees.ts'
import { watchChannel } from '../progress/channel.ts'
import { type SocketWatch, watchSocket } from '../progress/socket.ts'
import { compareContents, readContents } from './compare.ts'
import { applyFault, retryFailed } from './faults.ts'
import type { PlannedImport } from './files.ts'
import { type Fleet, startFleet } from './fleet.ts'
import { wrongMetrics } from './metrics.ts'
import type { Plan } from './plan.ts'

export interface RunReport {
  seed: number
  /** What is broken; empty when everything holds. */
  broken: string[]
  /** How many jobs ended how, and how many faults of which kind there were. */
  endings: Record<string, number>
  faults: Record<string, number>
  seconds: number
}

/** How long everything may take to settle once nothing goes wrong any more. */
const SETTLE_MS = 240_000

/**
 * Import the files of a plan while its faults happen, let everything settle, and see what is broken: the guarantees,
 * also in what a client was told meanwhile, files that workers hold open, metrics that are not what plain SQL says, and whatever differs from what the same imports leave without faults, in the
 * order in which they loaded.
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
    await fleet.dismiss()
    broken.push(...(await brokenGuarantees(system.database.pool, system.store)))
    const jobs = await readJobs(system)
    broken.push(...wrongEndings(jobs, accepted))
    if (broken.length === 0) broken.push(...(await differences(system, jobs, accepted)))
    const endings = count(jobs.map(({ status }) => status))
    return { seed: plan.seed, broken, endings, faults, seconds: (performance.now() - began) / 1000 }
  } finally {
    channel.close()
    await client?.close()
    await fleet?.dismiss()
    await system.close()
  }
}

/** Files of the installation that workers hold open although all of their work has ended. */
async function filesLeftOpen(system: TestSystem, fleet: Fleet): Promise<string[]> {
  const left = async () => {
    const open = await Promise.all(fleet.workers().map(({ pid }) => openFiles(system.dataDir, pid)))
    return open.flat()
  }
  try {
    await until(async () => (await left()).length === 0, { what: 'all files are closed' })
    return []
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error
    return (await left()).map((file) => `a worker holds ${file} open`)
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
  const happened: string[] = []
  for (let index = 0; arriving; index += 1) {
    const fault = plan.faults[index % plan.faults.length]
    if (!fault) break
    await Promise.race([delay(fault.after), accepting])
    if (!arriving) break
    await applyFault({ system, fleet, accepted }, fault)
    happened.push(fault.kind)
  }
  await accepting
  return count(happened)
}

/** Wait until every job is final; what failed by the faults is tried again. Answers what did not settle. */
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

/** The jobs in the order in which they loaded; those that did not come last. */
async function readJobs(system: TestSystem): Promise<JobEnding[]> {
  const rows = await system.database.pool.query(
    `select id, status, error->>'code' as code, loaded_at is not null as loaded from jobs order by loaded_at, created_at`,
  )
  return Jobs.parse(rows.rows)
}

function wrongEndings(jobs: readonly JobEnding[], accepted: ReadonlyMap<string, PlannedImport>): string[] {
  return jobs.flatMap(({ id, status, code }) => {
    const hopeless = accepted.get(id)?.hopeless === true
    const right = hopeless ? status === 'FAILED' && code === 'too_many_rejects' : status === 'COMPLETED'
    return right || status === 'CANCELLED' ? [] : [`job ${id} ended as ${status} ${code ?? ''}`]
  })
}

async function differences(
  system: TestSystem,
  jobs: readonly JobEnding[],
  accepted: ReadonlyMap<string, PlannedImport>,
): Promise<string[]> {
  const loaded = jobs.flatMap(({ id, loaded: yes }) => {
    const planned = accepted.get(id)
    return yes && planned ? [planned] : []
  })
  const expected = await withoutFaults(loaded)
  return compareContents(await readContents(system.database.pool), expected)
}

/** What the same imports leave in a clean installation, one after the other; datasets do not wait for each other. */
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
