import { problemText, readInput } from '@aduana/contracts/input-problems'
import { ProblemError } from '@aduana/contracts/problems'
import { ClientMessage } from '@aduana/contracts/progress'
import type { FastifyBaseLogger } from 'fastify'
import type { RawData, WebSocket } from 'ws'
import type { Session } from '../users/sessions.ts'
import type { Hub } from './hub.ts'
import { createSubscriber, type Subscriber } from './subscriber.ts'
import type { SessionWatch } from './watch-sessions.ts'

const HEARTBEAT_MS = 25_000
const MAX_SUBSCRIPTIONS = 200
// Enough to subscribe to everything at once, but not to flood the API.
const MAX_MESSAGES_PER_HEARTBEAT = 600
const MAX_TIMER_MS = 2 ** 31 - 1

/** Private close code: the session has ended. */
const SESSION_ENDED = 4401

export interface ConnectionOptions {
  sessions: SessionWatch
  logger: FastifyBaseLogger
  heartbeatMs?: number
}

/** Serves a WebSocket connection until it closes. */
export function serveConnection(
  hub: Hub,
  socket: WebSocket,
  session: Session,
  options: ConnectionOptions,
): void {
  const subscriber = createSubscriber(socket, session.principal)
  hub.join(subscriber)
  let budget = MAX_MESSAGES_PER_HEARTBEAT
  let turn = Promise.resolve()

  const beat = () => {
    budget = MAX_MESSAGES_PER_HEARTBEAT
    if (!subscriber.alive) return socket.terminate()
    subscriber.alive = false
    socket.ping()
    subscriber.send({ type: 'heartbeat' })
  }
  const heart = setInterval(beat, options.heartbeatMs ?? HEARTBEAT_MS)
  const unwatch = options.sessions.watch(session, {
    refreshed: (principal) => {
      const changed = JSON.stringify(principal) !== JSON.stringify(subscriber.principal)
      subscriber.principal = principal
      if (changed) hub.recheckAccess(subscriber)
    },
    ended: () => socket.close(SESSION_ENDED, 'the session has ended'),
  })
  const remaining = Math.max(0, session.expiresAt.getTime() - Date.now())
  const end = setTimeout(
    () => socket.close(SESSION_ENDED, 'the login has expired'),
    Math.min(remaining, MAX_TIMER_MS),
  )

  socket.on('pong', () => {
    subscriber.alive = true
  })
  socket.on('message', (data, isBinary) => {
    budget -= 1
    if (budget < 0) return socket.close(1008, 'too many messages')
    // One after the other, so that responses keep the order of the messages.
    turn = turn
      .then(() => answer(hub, subscriber, data, isBinary))
      .catch((error: unknown) => {
        options.logger.warn({ event: 'ws.message_failed', err: error })
        subscriber.send({
          type: 'error',
          code: 'internal',
          detail: 'An internal error occurred. Contact the operator; the log of the API has the details.',
        })
      })
  })
  socket.on('close', () => {
    clearInterval(heart)
    clearTimeout(end)
    unwatch()
    hub.leave(subscriber)
  })
}

async function answer(hub: Hub, subscriber: Subscriber, data: RawData, isBinary: boolean): Promise<void> {
  const read = isBinary ? { refusal: 'The message is binary. Send JSON in a text message.' } : parse(data)
  if ('refusal' in read) return subscriber.send({ type: 'error', code: 'bad_request', detail: read.refusal })
  const { message } = read
  switch (message.type) {
    case 'ping':
      return subscriber.send({ type: 'pong' })
    case 'unsubscribe':
      if (message.topic === 'jobs') subscriber.subscribeToAll(false)
      else if (message.id !== undefined) subscriber.unsubscribe(message.id)
      return
    case 'subscribe':
      if (message.topic === 'jobs') return hub.subscribeToAll(subscriber)
      return subscribe(hub, subscriber, message.id, message.after ?? -1)
  }
}

async function subscribe(hub: Hub, subscriber: Subscriber, id: string, after: number): Promise<void> {
  if (!subscriber.jobs.get(id)?.named && subscriber.named() >= MAX_SUBSCRIPTIONS)
    return subscriber.send({
      type: 'error',
      code: 'too_many_subscriptions',
      detail: `You have subscribed to ${MAX_SUBSCRIPTIONS} jobs, which is the limit. Subscribe to "jobs" instead.`,
      id,
    })
  try {
    await hub.subscribeToJob(subscriber, id, after)
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error
    subscriber.send({ type: 'error', code: error.code, detail: error.message, id })
  }
}

function parse(data: RawData): { message: ClientMessage } | { refusal: string } {
  try {
    const read = readInput(ClientMessage, JSON.parse(String(data)))
    return read.problems ? { refusal: problemText(read.problems, 'The message') } : { message: read.data }
  } catch (error) {
    if (error instanceof SyntaxError)
      return { refusal: 'The message is not JSON. Send JSON in a text message.' }
    throw error
  }
}
