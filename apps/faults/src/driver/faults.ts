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

/** The installation in which faults are injected. */
export interface FaultTarget {
  system: TestSystem
  fleet: Fleet
  /** The accepted imports by job. */
  accepted: Map<string, PlannedImport>
}

type Inject = (target: FaultTarget, fault: PlannedFault) => Promise<void> | void

const INJECT: Record<FaultKind, Inject> = {
  kill: (target, fault) => worker(target, fault)?.signal('SIGKILL'),
  stop: (target, fault) => {
    const stopped = worker(target, fault)
    stopped?.signal('SIGSTOP')
    setTimeout(() => stopped?.signal('SIGCONT'), fault.length)
  },
  term: (target, fault) => worker(target, fault)?.signal('SIGTERM'),
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

/** Injects a fault. */
export async function injectFault(target: FaultTarget, fault: PlannedFault): Promise<void> {
  await INJECT[fault.kind](target, fault)
}

/** The number of waiters, and the milliseconds after the release of the window within which they are cancelled. */
const STORM = { waiters: 4, withinMs: 50 }

/**
 * Cancels the import that holds a window, and shortly after that its waiters: an import that is cancelled while it gets
 * the window must not keep it. Their files always fail, so that none of them loads.
 */
async function stormOfCancels({ system, accepted }: FaultTarget, { where }: PlannedFault): Promise<void> {
  const year = 2030 + Math.floor(where * 60)
  const window = { dataset: 'production', from: `${year}-01-01`, to: `${year}-02-01` }
  const accept = async (form: Record<string, string>) => {
    const planned = {
      content: `${HEADER}\nbad ${randomUUID()}\n`,
      form: { ...window, ...form },
      alwaysFails: true,
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

/** Retries every failed import except those with invalid files. Returns their number. */
export async function retryFailed(system: TestSystem): Promise<number> {
  const failed = await ids(
    system,
    `select id from jobs where status = 'FAILED' and error->>'code' <> 'too_many_rejects' order by created_at, id`,
  )
  for (const id of failed) await unlessRefused(retryJob(system.database.db, system.admin, id))
  return failed.length
}

function worker({ fleet }: FaultTarget, { where }: PlannedFault) {
  const alive = fleet.workers()
  return alive[Math.floor(where * alive.length)]
}

const Ids = z.array(z.object({ id: z.uuid() }))

async function ids(system: TestSystem, sql: string): Promise<string[]> {
  return Ids.parse((await system.database.pool.query(sql)).rows).map(({ id }) => id)
}

/** Ignores a refusal, because the job may have ended in the meantime. */
async function unlessRefused(request: Promise<unknown>): Promise<void> {
  try {
    await request
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error
  }
}
