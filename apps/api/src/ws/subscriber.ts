import type { Principal } from '@aduana/contracts/identity'
import type { Job } from '@aduana/contracts/jobs'
import { type ProgressUpdate, type ServerMessage, versionOf } from '@aduana/contracts/progress'
import type { WebSocket } from 'ws'

// Above the first, progress is held back; above the second, the client is disconnected.
const CONGESTED_BYTES = 256 * 1024
const MAX_BUFFERED_BYTES = 1024 * 1024
const CLOSE_TIMEOUT_MS = 2000
// Above this number the oldest jobs of a subscription to all jobs are dropped.
const MAX_JOBS = 1000

const NOTHING_SENT = { version: -1, seq: -1, held: undefined, awaitingSnapshot: false, named: false }

/** What has been sent to one client about one job. */
interface Subscription {
  /** Version of the last state that was sent; -1 before the first. */
  version: number
  /** Last sequence number that was sent. */
  seq: number
  /** The newest progress that has not been sent yet. */
  held: ProgressUpdate | undefined
  /** The snapshot is being read. Nothing is sent before it. */
  awaitingSnapshot: boolean
  /** Subscribed by id, not only as one of all jobs. */
  named: boolean
}

/** A client on a WebSocket and its subscriptions. Sequence numbers of a job only rise. */
export interface Subscriber {
  readonly socket: WebSocket
  principal: Principal
  /** Subscribed to all jobs that it may see. */
  readonly allJobs: boolean
  /** Has answered the last ping. */
  alive: boolean
  readonly jobs: ReadonlyMap<string, Readonly<Subscription>>
  /** Subscribes to a job by id. Nothing is sent before its snapshot. `after` is the last sequence number that the client has seen. */
  subscribe(jobId: string, after: number): void
  unsubscribe(jobId: string): void
  /** Starts or ends the subscription to all jobs. Subscriptions by id are kept. */
  subscribeToAll(yes: boolean): void
  /** Holds back all messages while the list of jobs is read. */
  holdForList(yes: boolean): void
  /** Adds a job to the subscription to all jobs. */
  track(jobId: string): void
  /** Returns the number of subscriptions by id. */
  named(): number
  /** Notes that the client has the state with this number from another message. */
  markSent(jobId: string, seq: number): void
  /** Returns true if the client may see jobs of this user. */
  maySee(userId: string): boolean
  /** Returns true if a state of this version has to be sent. */
  needsState(jobId: string, version: number): boolean
  /** Sends or holds progress; `text` is the message. Returns false if its state has to be sent first. */
  progress(update: ProgressUpdate, text: Buffer): boolean
  /** Sends the state of a job, then newer progress that was held. */
  sendState(kind: 'snapshot' | 'state', job: Job, seq: number): void
  /** Ends the subscription to a job that the client may no longer see. If it was by id, an error is sent. */
  revoke(jobId: string, reason: string): void
  /** Sends held progress, unless the client is still slow. */
  flush(): void
  send(message: ServerMessage): void
}

/** Returns the message for a progress update, without the user's id. */
export function progressMessage({ userId: _, ...update }: ProgressUpdate): Buffer {
  return encode({ type: 'progress', ...update })
}

/** Returns the subscriber of an authenticated socket. */
export function createSubscriber(socket: WebSocket, principal: Principal): Subscriber {
  const jobs = new Map<string, Subscription>()
  let allJobs = false
  let awaitingList = false
  const write = (data: Buffer) => {
    if (socket.readyState !== socket.OPEN) return
    socket.send(data, { binary: false })
    if (socket.bufferedAmount > MAX_BUFFERED_BYTES) disconnectSlow(socket)
  }
  const congested = () => socket.bufferedAmount > CONGESTED_BYTES
  const release = (subscription: Subscription) => {
    const { held } = subscription
    if (!held || awaitingList || congested() || versionOf(held.seq) > subscription.version) return
    subscription.held = undefined
    if (versionOf(held.seq) < subscription.version || held.seq <= subscription.seq) return
    subscription.seq = held.seq
    write(progressMessage(held))
  }
  const subscriber: Subscriber = {
    socket,
    principal,
    get allJobs() {
      return allJobs
    },
    alive: true,
    jobs,
    subscribe: (jobId, after) => {
      const seq = Math.max(after, jobs.get(jobId)?.seq ?? -1)
      jobs.set(jobId, { version: -1, seq, held: undefined, awaitingSnapshot: true, named: true })
    },
    subscribeToAll: (yes) => {
      allJobs = yes
      if (!yes) for (const [jobId, { named }] of jobs) if (!named) jobs.delete(jobId)
    },
    holdForList: (yes) => {
      awaitingList = yes
      if (!yes) subscriber.flush()
    },
    track: (jobId) => {
      if (jobs.has(jobId)) return
      dropOldest(jobs)
      jobs.set(jobId, { ...NOTHING_SENT })
    },
    named: () => [...jobs.values()].filter((subscription) => subscription.named).length,
    unsubscribe: (jobId) => void jobs.delete(jobId),
    markSent: (jobId, seq) => {
      const subscription = jobs.get(jobId) ?? { ...NOTHING_SENT }
      if (subscription.seq >= seq) return
      jobs.set(jobId, { ...subscription, version: versionOf(seq), seq })
    },
    maySee: (userId) => subscriber.principal.role === 'admin' || subscriber.principal.userId === userId,
    needsState: (jobId, version) => {
      const subscription = jobs.get(jobId)
      return (
        subscription !== undefined &&
        !subscription.awaitingSnapshot &&
        !awaitingList &&
        !congested() &&
        version > subscription.version
      )
    },
    progress: (update, text) => {
      const subscription = jobs.get(update.jobId)
      if (!subscription || update.seq <= subscription.seq || versionOf(update.seq) < subscription.version)
        return true
      const early = versionOf(update.seq) > subscription.version
      if (early || awaitingList || congested()) {
        if (!subscription.held || subscription.held.seq < update.seq) subscription.held = update
        return !early || subscription.awaitingSnapshot || awaitingList
      }
      subscription.seq = update.seq
      subscription.held = undefined
      write(text)
      return true
    },
    sendState: (kind, job, seq) => {
      const subscription = jobs.get(job.id)
      if (!subscription || versionOf(seq) < subscription.version) return
      subscription.version = versionOf(seq)
      subscription.seq = Math.max(subscription.seq, seq)
      subscription.awaitingSnapshot = false
      write(
        encode(kind === 'state' ? { type: 'state', seq, job } : { type: 'snapshot', topic: 'job', seq, job }),
      )
      release(subscription)
    },
    revoke: (jobId, detail) => {
      const subscription = jobs.get(jobId)
      jobs.delete(jobId)
      if (subscription?.named) write(encode({ type: 'error', code: 'not_found', detail, id: jobId }))
    },
    flush: () => {
      for (const subscription of jobs.values()) release(subscription)
    },
    send: (message) => write(encode(message)),
  }
  return subscriber
}

function dropOldest(jobs: Map<string, Subscription>): void {
  if (jobs.size < MAX_JOBS) return
  for (const [jobId, { named }] of jobs) {
    if (named) continue
    jobs.delete(jobId)
    return
  }
}

function encode(message: ServerMessage): Buffer {
  return Buffer.from(JSON.stringify(message))
}

/** Disconnects a client that does not read. It is terminated, because it does not read the close frame either. */
function disconnectSlow(socket: WebSocket): void {
  socket.close(1009, 'the client reads too slowly')
  setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS).unref()
}
