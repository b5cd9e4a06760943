import type { Principal } from '@aduana/contracts/identity'
import type { Job } from '@aduana/contracts/jobs'
import { type ProgressUpdate, type ServerMessage, versionOf } from '@aduana/contracts/progress'
import type { WebSocket } from 'ws'

// Beyond the first a client gets only what it cannot do without; beyond the second it is let go.
const CONGESTED_BYTES = 256 * 1024
const MAX_BUFFERED_BYTES = 1024 * 1024
const CLOSE_TIMEOUT_MS = 2000
// A client that follows all jobs forgets the oldest beyond this number.
const MAX_JOBS = 1000

const NOTHING_SENT = { version: -1, seq: -1, held: undefined, awaitingSnapshot: false, named: false }

/** What one client has been told about one job. */
interface Subscription {
  /** Version of the last state that was sent; -1 before the first. */
  version: number
  /** Last sequence number that was sent. */
  seq: number
  /** The newest progress that could not be sent yet. */
  held: ProgressUpdate | undefined
  /** The snapshot is being read: nothing may overtake it. */
  awaitingSnapshot: boolean
  /** Asked for by its id, not only as one of all jobs. */
  named: boolean
}

/** One client on a WebSocket and what it follows. Sequence numbers of a job only rise. */
export interface Subscriber {
  readonly socket: WebSocket
  principal: Principal
  /** Follows all jobs that it may see. */
  readonly allJobs: boolean
  /** Answered our last ping. */
  alive: boolean
  readonly jobs: ReadonlyMap<string, Readonly<Subscription>>
  /** Follow a job by its id; nothing is sent before its snapshot. `after` is the last number that the client has seen. */
  subscribe(jobId: string, after: number): void
  unsubscribe(jobId: string): void
  /** Follow all jobs, or only those that were named any more. */
  subscribeToAll(yes: boolean): void
  /** The list of jobs is being read. Nothing else is sent before it. */
  holdForList(yes: boolean): void
  /** Follow a job as one of all. */
  track(jobId: string): void
  /** Number of jobs that are subscription by their ids. */
  named(): number
  /** The client already has the state with this number from another answer. */
  markSent(jobId: string, seq: number): void
  /** True when it may see what belongs to this user. */
  maySee(userId: string): boolean
  /** True when a state of this version is news. */
  needsState(jobId: string, version: number): boolean
  /** Take progress; `text` is the message. False when the state it belongs to has to be sent first. */
  progress(update: ProgressUpdate, text: Buffer): boolean
  /** Send the state of a job, then the progress that waited for it and is newer. */
  sendState(kind: 'snapshot' | 'state', job: Job, seq: number): void
  /** The client may no longer see the job. If it subscribed to the job by id, it gets an error. */
  revoke(jobId: string, reason: string): void
  /** Send progress that was held back because the client was slow. */
  flush(): void
  send(message: ServerMessage): void
}

/** The message that carries a progress update; the user's id stays inside. */
export function progressMessage({ userId: _, ...update }: ProgressUpdate): Buffer {
  return encode({ type: 'progress', ...update })
}

/** Wrap a socket that has been let in. */
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

/** Close a client that does not read; it will not read the closing either. */
function disconnectSlow(socket: WebSocket): void {
  socket.close(1009, 'the client reads too slowly')
  setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS).unref()
}
