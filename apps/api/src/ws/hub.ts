import type { ProgressUpdate } from '@aduana/contracts/progress'
import type { Database } from '@aduana/db/database'
import { readLiveJobs } from '@aduana/jobs/live-jobs'
import { listJobsWithVersions, readJobWithVersion, readVersions } from '@aduana/jobs/read'
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
    try {
      for (const jobId of stale) {
        stale.delete(jobId)
        if (!closed) await showChanges(jobId)
      }
    } catch (error) {
      stale.clear()
      logger.warn({ event: 'ws.state_not_read', err: error })
    }
  }
  /** Read a job once for each user who follows it: what somebody sees of a job depends on the scope. */
  const showChanges = async (jobId: string) => {
    const waiting = [...followers].filter((follower) => follower.lacks(jobId, Number.MAX_SAFE_INTEGER))
    const users = new Map(waiting.map(({ principal }) => [principal.userId, principal]))
    for (const principal of users.values()) {
      const { job, version } = await readJobWithVersion(db, principal, jobId)
      for (const follower of waiting)
        if (follower.principal.userId === principal.userId && follower.lacks(jobId, version))
          follower.show('state', job, version)
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
        const { job, version } = await readJobWithVersion(db, follower.principal, jobId)
        follower.show('snapshot', job, version)
      } catch (error) {
        follower.unfollow(jobId)
        throw error
      }
    },
    followAll: async (follower) => {
      const page = await listJobsWithVersions(db, follower.principal, { limit: SNAPSHOT_JOBS })
      follower.send({ type: 'snapshot', topic: 'jobs', jobs: page.items.map(({ job }) => job) })
      for (const { job, version } of page.items) follower.saw(job.id, version)
      follower.followAll(true)
    },
    close: async () => {
      closed = true
      clearTimeout(timer)
      await source.close()
      await refreshing
    },
  }
}
