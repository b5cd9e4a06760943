import type { Principal } from '@aduana/contracts/identity'
import { ProblemError } from '@aduana/contracts/problems'
import { type ProgressUpdate, versionOf } from '@aduana/contracts/progress'
import type { Database } from '@aduana/db/database'
import { readLiveJobs } from '@aduana/jobs/live-jobs'
import { listNumberedJobs, readNumberedJob, readVersions } from '@aduana/jobs/read'
import type { Logger } from '@aduana/runtime/logger'
import type { ProgressSource } from '../context.ts'
import { type Follower, progressMessage } from './follower.ts'

const LOOK_MS = 1000
const SNAPSHOT_JOBS = 50

/** Brings the state and progress of jobs to the clients that follow them. */
export interface Hub {
  join(follower: Follower): void
  leave(follower: Follower): void
  followers(): ReadonlySet<Follower>
  /** Send the snapshot of a job and its changes from now on. @throws ProblemError `not_found` */
  followJob(follower: Follower, jobId: string, after: number): Promise<void>
  /** Send the newest jobs that the client may see, and the changes of all of them from now on. */
  followAll(follower: Follower): Promise<void>
  /** The client's principal has changed: jobs that it may no longer see are hidden from it. */
  review(follower: Follower): void
  close(): Promise<void>
}

/**
 * One hub for the process. Redis brings progress as a hint: much of it can get lost. What is true is read from
 * PostgreSQL: at once when progress speaks of a state that a client has not seen, and every second for all jobs that
 * somebody follows.
 */
export function createHub(context: {
  db: Database
  logger: Logger
  followProgress(onUpdate: (update: ProgressUpdate) => void): ProgressSource
}): Hub {
  const { db, logger } = context
  const followers = new Set<Follower>()
  const stale = new Set<string>()
  let refreshing: Promise<void> | undefined
  let closed = false

  const take = (update: ProgressUpdate) => {
    let text: Buffer | undefined
    for (const follower of followers) {
      if (!follower.sees(update.userId)) continue
      if (follower.allJobs) follower.notice(update.jobId)
      if (!follower.jobs.has(update.jobId)) continue
      text ??= progressMessage(update)
      if (!follower.progress(update, text)) stale.add(update.jobId)
    }
    if (stale.size > 0) refresh()
  }
  const refresh = () => {
    refreshing ??= drain().finally(() => {
      refreshing = undefined
    })
  }
  const drain = async () => {
    for (const jobId of stale) {
      stale.delete(jobId)
      if (!closed) await showChanges(jobId)
    }
  }
  /** Read a job once for all followers with the same rights: what a user sees of a job depends on the scope. */
  const showChanges = async (jobId: string) => {
    const waiting = [...followers].filter((follower) => follower.lacks(jobId, Number.MAX_SAFE_INTEGER))
    const principals = new Map(waiting.map(({ principal }) => [identity(principal), principal]))
    for (const [id, principal] of principals) {
      const show = await readChange(jobId, principal)
      for (const follower of waiting) if (identity(follower.principal) === id) show(follower)
    }
  }
  /** Updates the followers of a job who share `principal`. An error affects only them; the next check tries again. */
  const readChange = async (jobId: string, principal: Principal): Promise<(follower: Follower) => void> => {
    try {
      const { job, seq } = await readNumberedJob(db, principal, jobId)
      return (follower) => {
        if (follower.lacks(jobId, versionOf(seq))) follower.show('state', job, seq)
      }
    } catch (error) {
      if (error instanceof ProblemError) return (follower) => follower.lose(jobId, error.message)
      logger.warn({ event: 'ws.state_not_read', jobId, err: error })
      return () => undefined
    }
  }
  const look = async () => {
    try {
      for (const follower of followers) follower.flush()
      await lookAtLiveJobs()
      await lookAtFollowedJobs()
      if (stale.size > 0) refresh()
    } catch (error) {
      logger.warn({ event: 'ws.versions_not_read', err: error })
    } finally {
      if (!closed) timer = setTimeout(look, LOOK_MS)
    }
  }
  /** Jobs that are new to a client that follows all of them. */
  const lookAtLiveJobs = async () => {
    const all = [...followers].filter((follower) => follower.allJobs)
    if (all.length === 0) return
    for (const { id, userId } of await readLiveJobs(db))
      for (const follower of all) if (follower.sees(userId)) follower.notice(id)
  }
  const lookAtFollowedJobs = async () => {
    const ids = new Set([...followers].flatMap((follower) => [...follower.jobs.keys()]))
    if (ids.size === 0) return
    const versions = await readVersions(db, [...ids])
    for (const [jobId, version] of versions)
      if ([...followers].some((follower) => follower.lacks(jobId, version))) stale.add(jobId)
  }
  let timer = setTimeout(look, LOOK_MS)
  const source = context.followProgress(take)

  return {
    join: (follower) => void followers.add(follower),
    leave: (follower) => void followers.delete(follower),
    followers: () => followers,
    followJob: async (follower, jobId, after) => {
      follower.follow(jobId, after)
      try {
        const { job, seq } = await readNumberedJob(db, follower.principal, jobId)
        follower.show('snapshot', job, seq)
      } catch (error) {
        follower.unfollow(jobId)
        throw error
      }
    },
    followAll: async (follower) => {
      follower.awaitList(true)
      try {
        const page = await listNumberedJobs(db, follower.principal, { limit: SNAPSHOT_JOBS })
        follower.send({ type: 'snapshot', topic: 'jobs', jobs: page.items.map(({ job }) => job) })
        for (const { job, seq } of page.items) follower.saw(job.id, seq)
        follower.followAll(true)
      } finally {
        follower.awaitList(false)
      }
    },
    review: (follower) => {
      for (const jobId of follower.jobs.keys()) stale.add(jobId)
      if (stale.size > 0) refresh()
    },
    close: async () => {
      closed = true
      clearTimeout(timer)
      await source.close()
      await refreshing
    },
  }
}

/** A key that distinguishes users and their scopes. */
function identity(principal: Principal): string {
  return JSON.stringify(principal)
}
