import { once } from 'node:events'
import { isFinal, JobStatus } from '@aduana/contracts/job-states'
import { ServerMessage } from '@aduana/contracts/progress'
import { startApi, type TestApi } from '@aduana/testkit/api'
import type { TestSystem } from '@aduana/testkit/system'
import { DeadlineError, until } from '@aduana/testkit/until'
import { WebSocket } from 'ws'
import { z } from 'zod'
import { type Account, openAccount } from './account.ts'

/** A client of the product that follows all jobs of an installation over a WebSocket. */
export interface SocketWatch {
  /**
   * Returns every broken promise about progress. Call it when every job is final: the last message of each job must be its
   * end.
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
 * Starts an API of the installation and follows all of its jobs as a browser does: by one socket, which is opened
 * again now and then. Numbers must rise and progress must never fall, also over a reconnect.
 */
export async function watchSocket(system: TestSystem): Promise<SocketWatch> {
  const api = await startApi(system)
  const account = openAccount('WebSocket')
  const states = new Map<string, JobStatus>()
  const unfit: string[] = []
  let closed = false
  let connections = 0
  let socket: WebSocket | undefined
  let connecting: Promise<void> = Promise.resolve()

  const connect = async () => {
    connections += 1
    let untilReconnect = RECONNECT_AFTER
    const own = openSocket(api)
    socket = own
    own.on('message', (data) => {
      if (socket !== own) return
      const message = ServerMessage.parse(JSON.parse(String(data)))
      take(message, account, states, unfit)
      if (message.type === 'progress') untilReconnect -= 1
      if (untilReconnect === 0 && !closed) reconnect(own)
    })
    await once(own, 'open')
    own.send(JSON.stringify({ type: 'subscribe', topic: 'jobs' }))
    // A job that is not in the list of the newest is subscribed to by id, as a page that shows one job does.
    for (const [id, status] of states)
      if (!isFinal(status))
        own.send(JSON.stringify({ type: 'subscribe', topic: 'job', id, after: account.last(id)?.seq }))
  }
  const reconnect = (own: WebSocket) => {
    own.close()
    connecting = connect()
    connecting.catch(
      (error: unknown) => void unfit.push(`the WebSocket cannot be opened again: ${String(error)}`),
    )
  }
  await connect()

  return {
    broken: async () => {
      await connecting
      const late = await untold(system, account, states)
      return [...account.broken, ...unfit, ...late]
    },
    seen: () => ({ messages: account.count(), connections }),
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

/** Record a message in the account. */
function take(
  message: ServerMessage,
  account: Account,
  states: Map<string, JobStatus>,
  unfit: string[],
): void {
  if (message.type === 'progress') {
    const { jobId, seq, progress } = message
    const status = states.get(jobId)
    if (status === undefined || isFinal(status))
      unfit.push(`G7: progress of job ${jobId} was told, which was ${status ?? 'not shown'} before`)
    account.news(jobId, { seq, progress })
  } else if (message.type === 'state') {
    const { seq, job } = message
    account.news(job.id, { seq, progress: job.progress })
    states.set(job.id, job.status)
  } else if (message.type === 'snapshot') {
    for (const job of message.topic === 'jobs' ? message.jobs : [message.job]) {
      account.asked(job.id, {
        progress: job.progress,
        ...(message.topic === 'job' ? { seq: message.seq } : {}),
      })
      states.set(job.id, job.status)
    }
  } else if (message.type === 'error') unfit.push(`G7: the API answers ${message.code}: ${message.detail}`)
}

const Ends = z.array(z.object({ id: z.uuid(), status: JobStatus, progress: z.coerce.number() }))

/** Wait until the end of every job has been received. Returns the jobs whose last message is another. */
async function untold(
  system: TestSystem,
  account: Account,
  states: ReadonlyMap<string, JobStatus>,
): Promise<string[]> {
  const jobs = Ends.parse((await system.database.pool.query('select id, status, progress from jobs')).rows)
  const missing = () =>
    jobs.filter(
      ({ id, status, progress }) => states.get(id) !== status || account.last(id)?.progress !== progress,
    )
  try {
    await until(() => missing().length === 0, { what: 'the end of every job was told', within: SETTLE_MS })
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error
  }
  return missing().map(
    ({ id, status, progress }) =>
      `G7: job ${id} is ${status} at ${progress}, but ${states.get(id)} at ${account.last(id)?.progress} was told last`,
  )
}
