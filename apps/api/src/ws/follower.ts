import type { Principal } from '@aduana/contracts/identity'
import type { Job } from '@aduana/contracts/jobs'
import { type ProgressUpdate, type ServerMessage, versionOf } from '@aduana/contracts/progress'
import type { WebSocket } from 'ws'

// Beyond the first a client gets only what it cannot do without; beyond the second it is let go.
const CONGESTED_BYTES = 256 * 1024
const HOPELESS_BYTES = 1024 * 1024
const TERMINATE_MS = 2000
// A client that follows all jobs forgets the oldest beyond this number.
const MOST_JOBS = 1000

const NOTHING_SENT = { version: -1, seq: -1, held: undefined, awaitingSnapshot: false, named: false }

/** What one client has been told about one job. */
interface Followed {
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
export interface Follower {
  readonly socket: WebSocket
  principal: Principal
  /** Follows all jobs that it may see. */
  readonly allJobs: boolean
  /** Answered our last ping. */
  alive: boolean
  readonly jobs: ReadonlyMap<string, Readonly<Followed>>
  /** Follow a job by its id; nothing is sent before its snapshot. `after` is the last number that the client has seen. */
  follow(jobId: string, after: number): void
  unfollow(jobId: string): void
  /** Follow all jobs, or only those that were named any more. */
  followAll(yes: boolean): void
  /** The list of jobs is being read. Nothing else is sent before it. */
  awaitList(yes: boolean): void
  /** Follow a job as one of all. */
  notice(jobId: string): void
  /** Number of jobs that are followed by their ids. */
  named(): number
  /** The client already has the state with this number from another answer. */
  saw(jobId: string, seq: number): void
  /** True when it may see what belongs to this user. */
  sees(userId: string): boolean
  /** True when a state of this version is news. */
  lacks(jobId: string, version: number): boolean
  /** Take progress; `text` is the message. False when the state it belongs to has to be sent first. */
  progress(update: ProgressUpdate, text: Buffer): boolean
  /** Send the state of a job, then the progress that waited for it and is newer. */
  show(kind: 'snapshot' | 'state', job: Job, seq: number): void
  /** The client may no longer see the job. If it subscribed to the job by id, it gets an error. */
  lose(jobId: string, reason: string): void
  /** Send progress that was held back because the client was slow. */
  flush(): void
  send(message: ServerMessage): void
}

/** The message that carries a progress update; the user's id stays inside. */
export function progressMessage({ userId: _, ...update }: ProgressUpdate): Buffer {
  return encode({ type: 'progress', ...update })
}

/** Wrap a socket that has been let in. */
export function createFollower(socket: WebSocket, principal: Principal): Follower {
  const jobs = new Map<string, Followed>()
  let allJobs = false
  let awaitingList = false
  const write = (data: Buffer) => {
    if (socket.readyState !== socket.OPEN) return
    socket.send(data, { binary: false })
    if (socket.bufferedAmount > HOPELESS_BYTES) letGo(socket)
  }
  const congested = () => socket.bufferedAmount > CONGESTED_BYTES
  const release = (followed: Followed) => {
    const { held } = followed
    if (!held || awaitingList || congested() || versionOf(held.seq) > followed.version) return
    followed.held = undefined
    if (versionOf(held.seq) < followed.version || held.seq <= followed.seq) return
    followed.seq = held.seq
    write(progressMessage(held))
  }
  const follower: Follower = {
    socket,
    principal,
    get allJobs() {
      return allJobs
    },
    alive: true,
    jobs,
    follow: (jobId, after) => {
      const seq = Math.max(after, jobs.get(jobId)?.seq ?? -1)
      jobs.set(jobId, { version: -1, seq, held: undefined, awaitingSnapshot: true, named: true })
    },
    followAll: (yes) => {
      allJobs = yes
      if (!yes) for (const [jobId, { named }] of jobs) if (!named) jobs.delete(jobId)
    },
    awaitList: (yes) => {
      awaitingList = yes
      if (!yes) follower.flush()
    },
    notice: (jobId) => {
      if (jobs.has(jobId)) return
      forgetOldest(jobs)
      jobs.set(jobId, { ...NOTHING_SENT })
    },
    named: () => [...jobs.values()].filter((followed) => followed.named).length,
    unfollow: (jobId) => void jobs.delete(jobId),
    saw: (jobId, seq) => {
      const followed = jobs.get(jobId) ?? { ...NOTHING_SENT }
      if (followed.seq >= seq) return
      jobs.set(jobId, { ...followed, version: versionOf(seq), seq })
    },
    sees: (userId) => follower.principal.role === 'admin' || follower.principal.userId === userId,
    lacks: (jobId, version) => {
      const followed = jobs.get(jobId)
      return (
        followed !== undefined &&
        !followed.awaitingSnapshot &&
        !awaitingList &&
        !congested() &&
        version > followed.version
      )
    },
    progress: (update, text) => {
      const followed = jobs.get(update.jobId)
      if (!followed || update.seq <= followed.seq || versionOf(update.seq) < followed.version) return true
      const early = versionOf(update.seq) > followed.version
      if (early || awaitingList || congested()) {
        if (!followed.held || followed.held.seq < update.seq) followed.held = update
        return !early || followed.awaitingSnapshot || awaitingList
      }
      followed.seq = update.seq
      followed.held = undefined
      write(text)
      return true
    },
    show: (kind, job, seq) => {
      const followed = jobs.get(job.id)
      if (!followed || versionOf(seq) < followed.version) return
      followed.version = versionOf(seq)
      followed.seq = Math.max(followed.seq, seq)
      followed.awaitingSnapshot = false
      write(
        encode(kind === 'state' ? { type: 'state', seq, job } : { type: 'snapshot', topic: 'job', seq, job }),
      )
      release(followed)
    },
    lose: (jobId, detail) => {
      const followed = jobs.get(jobId)
      jobs.delete(jobId)
      if (followed?.named) write(encode({ type: 'error', code: 'not_found', detail, id: jobId }))
    },
    flush: () => {
      for (const followed of jobs.values()) release(followed)
    },
    send: (message) => write(encode(message)),
  }
  return follower
}

function forgetOldest(jobs: Map<string, Followed>): void {
  if (jobs.size < MOST_JOBS) return
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
function letGo(socket: WebSocket): void {
  socket.close(1009, 'too slow')
  setTimeout(() => socket.terminate(), TERMINATE_MS).unref()
}
