import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { Job } from '@aduana/contracts/jobs'
import { ClientMessage, type ServerMessage, sequence } from '@aduana/contracts/progress'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Api } from '../api/api.ts'
import { ConnectionError } from '../errors.ts'
import { JOB_ID, job } from '../testing/jobs.ts'
import { followJob } from './follow-job.ts'
import type { JobView } from './view.ts'

const WORKING = job({ status: 'PROCESSING', stage: 'load', progress: 50 })
const DONE = job({ status: 'COMPLETED', stage: 'fan-out', progress: 100, counts: { quarantined: 0 } })
// So long that a test which needs a poll would not end.
const NEVER = 10 * 60_000

let server: Server
let sockets: WebSocketServer
let api: Api
let polled: Job
let polls: number
/** What becomes of those who subscribe; null refuses the upgrade. */
let onSubscribe: ((socket: WebSocket, message: ClientMessage) => void) | null

beforeEach(async () => {
  polled = WORKING
  polls = 0
  onSubscribe = null
  server = createServer((_, response) => {
    polls += 1
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(polled))
  })
  sockets = new WebSocketServer({ noServer: true })
  server.on('upgrade', (request, socket, head) => {
    if (onSubscribe === null || request.headers.authorization !== 'Bearer t') return socket.destroy()
    sockets.handleUpgrade(request, socket, head, (client) =>
      client.on('message', (data) => onSubscribe?.(client, ClientMessage.parse(JSON.parse(String(data))))),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
  api = { url, token: 't', signal: new AbortController().signal }
})
afterEach(async () => {
  for (const client of sockets.clients) client.terminate()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

function send(socket: WebSocket, message: ServerMessage): void {
  socket.send(JSON.stringify(message))
}

function moved(tick: number, progress: number): ServerMessage {
  const figures = { totalItems: 100, processedItems: progress, rowsPerSecond: 7, etaSeconds: 1 }
  return {
    type: 'progress',
    jobId: JOB_ID,
    seq: sequence(4, tick),
    stage: 'load',
    progress,
    message: 'Load',
    ...figures,
  }
}

const snapshot: ServerMessage = { type: 'snapshot', topic: 'job', seq: sequence(4, 0), job: WORKING }
const ended: ServerMessage = { type: 'state', seq: sequence(5, 0), job: DONE }

test('a job is followed over the WebSocket without polling', async () => {
  onSubscribe = (socket) => {
    for (const message of [snapshot, moved(1, 60), moved(2, 70), moved(1, 60), ended]) send(socket, message)
  }
  const views: JobView[] = []
  const times = { pollMs: 50, openPollMs: NEVER, unreachableTimeoutMs: NEVER }
  expect(await followJob(api, JOB_ID, (view) => views.push(view), times)).toEqual(DONE)
  expect(views.map(({ progress }) => progress).filter((value, i, all) => value !== all[i - 1])).toEqual([
    50, 60, 70, 100,
  ])
})

test('a job is polled if no WebSocket can be opened', async () => {
  const times = { pollMs: 20, openPollMs: NEVER, unreachableTimeoutMs: NEVER }
  const job = await followJob(
    api,
    JOB_ID,
    () => {
      if (polls >= 3) polled = DONE
    },
    times,
  )
  expect(job).toEqual(DONE)
  expect(polls).toBeGreaterThanOrEqual(2)
})

test('a connection that breaks is opened again, from the last message on', async () => {
  const after: (number | undefined)[] = []
  onSubscribe = (socket, message) => {
    after.push('after' in message ? message.after : undefined)
    send(socket, snapshot)
    if (after.length === 1) {
      send(socket, moved(9, 80))
      socket.close()
    } else send(socket, ended)
  }
  const times = { pollMs: NEVER, openPollMs: NEVER, unreachableTimeoutMs: NEVER }
  expect(await followJob(api, JOB_ID, () => undefined, times)).toEqual(DONE)
  expect(after).toEqual([undefined, sequence(4, 9)])
})

test('a silent WebSocket does not hide the end of a job', async () => {
  onSubscribe = (socket) => {
    send(socket, snapshot)
    polled = DONE
  }
  expect(
    await followJob(api, JOB_ID, () => undefined, {
      pollMs: 20,
      openPollMs: 100,
      unreachableTimeoutMs: NEVER,
    }),
  ).toEqual(DONE)
})

test('an API that stays unavailable is given up', async () => {
  const times = { pollMs: 10, openPollMs: NEVER, unreachableTimeoutMs: 50 }
  const following = followJob(
    api,
    JOB_ID,
    () => {
      server.close()
      server.closeAllConnections()
    },
    times,
  )
  await expect(following).rejects.toBeInstanceOf(ConnectionError)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
