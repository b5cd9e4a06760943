import type { Principal } from '@aduana/contracts/identity'
import { ProblemError } from '@aduana/contracts/problems'
import { type ProgressUpdate, versionOf } from '@aduana/contracts/progress'
import type { Database } from '@aduana/db/database'
import { readActiveJobs } from '@aduana/jobs/read/active-jobs'
import { listNumberedJobs, readNumberedJob, readVersions } from '@aduana/jobs/read/jobs'
import type { Logger } from '@aduana/runtime/logger'
import { startPollLoop } from '@aduana/runtime/poll-loop'
import type { ProgressSource } from '../context.ts'
import { progressMessage, type Subscriber } from './subscriber.ts'

const POLL_INTERVAL_MS = 1000
const SNAPSHOT_JOBS = 50

/** Sends the state and progress of jobs to the subscribers. */
export interface Hub {
  join(subscriber: Subscriber): void
  leave(subscriber: Subscriber): void
  subscribers(): ReadonlySet<Subscriber>
  /** Sends the snapshot of a job and its changes from then on. @throws ProblemError `not_found` */
  subscribeToJob(subscriber: Subscriber, jobId: string, after: number): Promise<void>
  /** Sends the newest jobs that the subscriber may see, and changes of all jobs from then on. */
  subscribeToAll(subscriber: Subscriber): Promise<void>
  /** Ends subscriptions to jobs that the subscriber may no longer see, after its role or scope has changed. */
  recheckAccess(subscriber: Subscriber): void
  close(): Promise<void>
}

/**
 * Creates the hub of a process. Progress from Redis is a hint and may be lost. States are read from PostgreSQL: at once when
 * progress belongs to a state that a client has not got, and every second for all jobs with subscribers.
 */
export function createHub(context: {
  db: Database
  logger: Logger
  followProgress(onUpdate: (update: ProgressUpdate) => void): ProgressSource
}): Hub {
  const { db, logger } = context
  const subscribers = new Set<Subscriber>()
  const stale = new Set<string>()
  let refreshing: Promise<void> | undefined
  let closed = false

  const onProgress = (update: ProgressUpdate) => {
    let text: Buffer | undefined
    for (const subscriber of subscribers) {
      if (!subscriber.maySee(update.userId)) continue
      if (subscriber.allJobs) subscriber.track(update.jobId)
      if (!subscriber.jobs.has(update.jobId)) continue
      text ??= progressMessage(update)
      if (!subscriber.progress(update, text)) stale.add(update.jobId)
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
      if (!closed) await sendChanges(jobId)
    }
  }
  /** Reads a job once for all subscribers with the same principal: what a user sees of a job depends on the scope. */
  const sendChanges = async (jobId: string) => {
    const waiting = [...subscribers].filter((subscriber) =>
      subscriber.needsState(jobId, Number.MAX_SAFE_INTEGER),
    )
    const principals = new Map(waiting.map(({ principal }) => [identity(principal), principal]))
    for (const [id, principal] of principals) {
      const show = await readState(jobId, principal)
      for (const subscriber of waiting) if (identity(subscriber.principal) === id) show(subscriber)
    }
  }
  /** Updates the subscribers of a job who share `principal`. An error affects only them; the next check tries again. */
  const readState = async (
    jobId: string,
    principal: Principal,
  ): Promise<(subscriber: Subscriber) => void> => {
    try {
      const { job, seq } = await readNumberedJob(db, principal, jobId)
      return (subscriber) => {
        if (subscriber.needsState(jobId, versionOf(seq))) subscriber.sendState('state', job, seq)
      }
    } catch (error) {
      if (error instanceof ProblemError) return (subscriber) => subscriber.revoke(jobId, error.message)
      logger.warn({ event: 'ws.state_not_read', jobId, err: error })
      return () => undefined
    }
  }
  /** Adds active jobs to the subscriptions to all jobs. */
  const trackActiveJobs = async () => {
    const all = [...subscribers].filter((subscriber) => subscriber.allJobs)
    if (all.length === 0) return
    for (const { id, userId } of await readActiveJobs(db))
      for (const subscriber of all) if (subscriber.maySee(userId)) subscriber.track(id)
  }
  const findStaleJobs = async () => {
    const ids = new Set([...subscribers].flatMap((subscriber) => [...subscriber.jobs.keys()]))
    if (ids.size === 0) return
    const versions = await readVersions(db, [...ids])
    for (const [jobId, version] of versions)
      if ([...subscribers].some((subscriber) => subscriber.needsState(jobId, version))) stale.add(jobId)
  }
  const pollLoop = startPollLoop({
    intervalMs: POLL_INTERVAL_MS,
    poll: async () => {
      for (const subscriber of subscribers) subscriber.flush()
      await trackActiveJobs()
      await findStaleJobs()
      if (stale.size > 0) refresh()
    },
    onError: (error) => logger.warn({ event: 'ws.versions_not_read', err: error }),
  })
  const source = context.followProgress(onProgress)

  return {
    join: (subscriber) => void subscribers.add(subscriber),
    leave: (subscriber) => void subscribers.delete(subscriber),
    subscribers: () => subscribers,
    subscribeToJob: async (subscriber, jobId, after) => {
      subscriber.subscribe(jobId, after)
      try {
        const { job, seq } = await readNumberedJob(db, subscriber.principal, jobId)
        subscriber.sendState('snapshot', job, seq)
      } catch (error) {
        subscriber.unsubscribe(jobId)
        throw error
      }
    },
    subscribeToAll: async (subscriber) => {
      subscriber.holdForList(true)
      try {
        const page = await listNumberedJobs(db, subscriber.principal, { limit: SNAPSHOT_JOBS })
        subscriber.send({ type: 'snapshot', topic: 'jobs', jobs: page.items.map(({ job }) => job) })
        for (const { job, seq } of page.items) subscriber.markSent(job.id, seq)
        subscriber.subscribeToAll(true)
      } finally {
        subscriber.holdForList(false)
      }
    },
    recheckAccess: (subscriber) => {
      for (const jobId of subscriber.jobs.keys()) stale.add(jobId)
      if (stale.size > 0) refresh()
    },
    close: async () => {
      closed = true
      await pollLoop.stop()
      await source.close()
      await refreshing
    },
  }
}

/** A key that distinguishes users and their scopes. */
function identity(principal: Principal): string {
  return JSON.stringify(principal)
}
