import { once } from 'node:events'
import { isFinal, JobStatus } from '@aduana/contracts/job-states'
import { ServerMessage } from '@aduana/contracts/progress'
import { startApi, type TestApi } from '@aduana/testkit/api'
import type { TestSystem } from '@aduana/testkit/system'
import { DeadlineError, until } from '@aduana/testkit/until'
import { WebSocket } from 'ws'
import { z } from 'zod'
import { createProgressHistory, type ProgressHistory } from './history.ts'

/** A client of the product that follows all jobs of an installation over a WebSocket. */
export interface SocketWatch {
  /**
   * Returns every broken promise about progress. Call it when every job is final: the last message of each job must be its
   * final state.
   */
  broken(): Promise<string[]>
  /** Number of messages about jobs received, and how often the client has connected. */
  seen(): { messages: number; connections: number }
  close(): Promise<void>
}

/** The client disconnects and reconnects after this many messages of progress. */
const RECONNECT_AFTER = 20
const SETTLE_MS = 30_000

/**
 * Starts an API of the installation and follows all of its jobs as a browser does: over one socket, which reconnects
 * repeatedly. Numbers must increase and progress must never decrease, also after a reconnect.
 */
export async function watchSocket(system: TestSystem): Promise<SocketWatch> {
  const api = await startApi(system)
  const history = createProgressHistory('WebSocket')
  const states = new Map<string, JobStatus>()
  const violations: string[] = []
  let closed = false
  let connections = 0
  let socket: WebSocket | undefined
  let connecting: Promise<void> = Promise.resolve()

  const connect = async () => {
    connections += 1
    let untilReconnect = RECONNECT_AFTER
    const opened = openSocket(api)
    socket = opened
    opened.on('message', (data) => {
      if (socket !== opened) return
      const message = ServerMessage.parse(JSON.parse(String(data)))
      take(message, history, states, violations)
      if (message.type === 'progress') untilReconnect -= 1
      if (untilReconnect === 0 && !closed) reconnect(opened)
    })
    await once(opened, 'open')
    opened.send(JSON.stringify({ type: 'subscribe', topic: 'jobs' }))
    // A job that is not in the list of the newest jobs is subscribed to by id, as the page of a job does.
    for (const [id, status] of states)
      if (!isFinal(status))
        opened.send(JSON.stringify({ type: 'subscribe', topic: 'job', id, after: history.last(id)?.seq }))
  }
  const reconnect = (current: WebSocket) => {
    current.close()
    connecting = connect()
    connecting.catch(
      (error: unknown) => void violations.push(`the WebSocket cannot be opened again: ${String(error)}`),
    )
  }
  await connect()

  return {
    broken: async () => {
      await connecting
      const late = await missingFinalStates(system, history, states)
      return [...history.broken, ...violations, ...late]
    },
    seen: () => ({ messages: history.count(), connections }),
    close: async () => {
      closed = true
      socket?.terminate()
      await api.process.stop()
    },
  }
}

function openSocket(api: TestApi): WebSocket {
  return new WebSocket(`${api.url.replace('http', 'ws')}/ws`, {
    headers: { authorization: `Bearer ${api.token}` },
  })
}

/** Records a message in the history. */
function take(
  message: ServerMessage,
  history: ProgressHistory,
  states: Map<string, JobStatus>,
  violations: string[],
): void {
  if (message.type === 'progress') {
    const { jobId, seq, progress } = message
    const status = states.get(jobId)
    if (status === undefined || isFinal(status))
      violations.push(`G7: progress of job ${jobId} was sent, which was ${status ?? 'not sent'} before`)
    history.message(jobId, { seq, progress })
  } else if (message.type === 'state') {
    const { seq, job } = message
    history.message(job.id, { seq, progress: job.progress })
    states.set(job.id, job.status)
  } else if (message.type === 'snapshot') {
    for (const job of message.topic === 'jobs' ? message.jobs : [message.job]) {
      history.snapshot(job.id, {
        progress: job.progress,
        ...(message.topic === 'job' ? { seq: message.seq } : {}),
      })
      states.set(job.id, job.status)
    }
  } else if (message.type === 'error')
    violations.push(`G7: the API sends the error ${message.code}: ${message.detail}`)
}

const Ends = z.array(z.object({ id: z.uuid(), status: JobStatus, progress: z.coerce.number() }))

/** Waits until the final state of every job is received. Returns the jobs with another last message. */
async function missingFinalStates(
  system: TestSystem,
  history: ProgressHistory,
  states: ReadonlyMap<string, JobStatus>,
): Promise<string[]> {
  const jobs = Ends.parse((await system.database.pool.query('select id, status, progress from jobs')).rows)
  const missing = () =>
    jobs.filter(
      ({ id, status, progress }) => states.get(id) !== status || history.last(id)?.progress !== progress,
    )
  try {
    await until(() => missing().length === 0, {
      what: 'the final state of every job is received',
      within: SETTLE_MS,
    })
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error
  }
  return missing().map(
    ({ id, status, progress }) =>
      `G7: job ${id} is ${status} at ${progress}, but ${states.get(id)} at ${history.last(id)?.progress} was the last message`,
  )
}
