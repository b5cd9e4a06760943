import { ProblemError } from '@aduana/contracts/problems'
import { cancelJob } from '@aduana/jobs/cancel'
import { retryJob } from '@aduana/jobs/retry'
import type { TestSystem } from '@aduana/testkit/system'
import { z } from 'zod'
import type { Fleet } from './fleet.ts'
import type { FaultKind, PlannedFault } from './plan.ts'

export interface Place {
  system: TestSystem
  fleet: Fleet
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
  retry: ({ system }) => retryFailed(system).then(() => undefined),
}

/** Let something bad happen. */
export async function applyFault(place: Place, fault: PlannedFault): Promise<void> {
  await APPLY[fault.kind](place, fault)
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
