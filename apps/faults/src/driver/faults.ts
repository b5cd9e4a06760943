import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { ProblemError } from '@aduana/contracts/problems'
import { cancelJob } from '@aduana/jobs/lifecycle/cancel'
import { retryJob } from '@aduana/jobs/lifecycle/retry'
import type { TestSystem } from '@aduana/testkit/system'
import { z } from 'zod'
import { HEADER } from '../production-file.ts'
import type { PlannedImport } from './files.ts'
import type { Fleet } from './fleet.ts'
import type { FaultKind, PlannedFault } from './plan.ts'

export interface Place {
  system: TestSystem
  fleet: Fleet
  /** The imports so far, by their jobs. */
  accepted: Map<string, PlannedImport>
}

type Apply = (place: Place, fault: PlannedFault) => Promise<void> | void

const APPLY: Record<FaultKind, Apply> = {
  kill: (place, fault) => worker(place, fault)?.signal('SIGKILL'),
  stop: (place, fault) => {
    const stopped = worker(place, fault)
    stopped?.signal('SIGSTOP')
    setTimeout(() => stopped?.signal('SIGCONT'), fault.length)
  },
  term: (place, fault) => worker(place, fault)?.signal('SIGTERM'),
  'term-all': ({ fleet }) => {
    for (const each of fleet.workers()) each.signal('SIGTERM')
  },
  wipe: ({ system }) => system.redis.wipe(),
  terminate: async ({ system }, { where }) => {
    await system.database.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name like 'aduana%' and random() <= $1`,
      [where],
    )
  },
  cancel: async ({ system }, { where }) => {
    const open = await ids(system, `select id from jobs where completed_at is null order by created_at, id`)
    const id = open[Math.floor(where * open.length)]
    if (id !== undefined) await unlessRefused(cancelJob(system.database.db, system.admin, id))
  },
  storm: stormOfCancels,
  retry: ({ system }) => retryFailed(system).then(() => undefined),
}

/** Let something bad happen. */
export async function applyFault(place: Place, fault: PlannedFault): Promise<void> {
  await APPLY[fault.kind](place, fault)
}

/** The imports of a storm, and within how many milliseconds of its release the window's waiters are cancelled. */
const STORM = { waiters: 4, withinMs: 50 }

/**
 * Cancel the import that holds a window, and shortly after the imports that wait for it: one that is just getting the
 * window must not keep it. Their files always fail, so none of them loads.
 */
async function stormOfCancels({ system, accepted }: Place, { where }: PlannedFault): Promise<void> {
  const year = 2030 + Math.floor(where * 60)
  const window = { dataset: 'production', from: `${year}-01-01`, to: `${year}-02-01` }
  const accept = async (form: Record<string, string>) => {
    const planned = {
      content: `${HEADER}\nbad ${randomUUID()}\n`,
      form: { ...window, ...form },
      hopeless: true,
    }
    const id = await system.accept(planned.content, planned.form)
    accepted.set(id, planned)
    return id
  }
  const holder = await accept({ onConflict: 'wait', startAt: '2099-01-01T00:00:00Z' })
  const waiters: string[] = []
  for (let n = 0; n < STORM.waiters; n += 1) waiters.push(await accept({ onConflict: 'wait' }))
  const cancel = (id: string) => unlessRefused(cancelJob(system.database.db, system.admin, id))
  await cancel(holder)
  await Promise.all(
    waiters.map(async (id, index) => {
      await delay((where * STORM.withinMs * index) / STORM.waiters)
      await cancel(id)
    }),
  )
}

/** Try every failed import again but those whose files are to blame. Answers how many. */
export async function retryFailed(system: TestSystem): Promise<number> {
  const failed = await ids(
    system,
    `select id from jobs where status = 'FAILED' and error->>'code' <> 'too_many_rejects' order by created_at, id`,
  )
  for (const id of failed) await unlessRefused(retryJob(system.database.db, system.admin, id))
  return failed.length
}

function worker({ fleet }: Place, { where }: PlannedFault) {
  const alive = fleet.workers()
  return alive[Math.floor(where * alive.length)]
}

const Ids = z.array(z.object({ id: z.uuid() }))

async function ids(system: TestSystem, sql: string): Promise<string[]> {
  return Ids.parse((await system.database.pool.query(sql)).rows).map(({ id }) => id)
}

/** The job may have ended in the meantime; then there is nothing to ask for. */
async function unlessRefused(asking: Promise<unknown>): Promise<void> {
  try {
    await asking
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error
  }
}
