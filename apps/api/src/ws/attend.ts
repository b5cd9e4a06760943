import { problemText, readInput } from '@aduana/contracts/input-problems'
import { ProblemError } from '@aduana/contracts/problems'
import { ClientMessage } from '@aduana/contracts/progress'
import type { FastifyBaseLogger } from 'fastify'
import type { RawData, WebSocket } from 'ws'
import type { Session } from '../users/sessions.ts'
import { createFollower, type Follower } from './follower.ts'
import type { Hub } from './hub.ts'
import type { SessionWatch } from './watch-sessions.ts'

const HEARTBEAT_MS = 25_000
const MOST_SUBSCRIPTIONS = 200
// Enough to subscribe to everything at once, far below a flood.
const MOST_MESSAGES_PER_BEAT = 600
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Closing codes of our own: the session has ended. */
const SESSION_ENDED = 4401

export interface AttendOptions {
  sessions: SessionWatch
  logger: FastifyBaseLogger
  heartbeatMs?: number
}

/** Serve one client from its upgrade to its end. */
export function attend(hub: Hub, socket: WebSocket, session: Session, options: AttendOptions): void {
  const follower = createFollower(socket, session.principal)
  hub.join(follower)
  let budget = MOST_MESSAGES_PER_BEAT
  let turn = Promise.resolve()

  const beat = () => {
    budget = MOST_MESSAGES_PER_BEAT
    if (!follower.alive) return socket.terminate()
    follower.alive = false
    socket.ping()
    follower.send({ type: 'heartbeat' })
  }
  const heart = setInterval(beat, options.heartbeatMs ?? HEARTBEAT_MS)
  const unwatch = options.sessions.watch(session, {
    refreshed: (principal) => {
      const changed = JSON.stringify(principal) !== JSON.stringify(follower.principal)
      follower.principal = principal
      if (changed) hub.review(follower)
    },
    ended: () => socket.close(SESSION_ENDED, 'the session has ended'),
  })
  const remaining = Math.max(0, session.expiresAt.getTime() - Date.now())
  const end = setTimeout(
    () => socket.close(SESSION_ENDED, 'the login has expired'),
    Math.min(remaining, LONGEST_TIMER_MS),
  )

  socket.on('pong', () => {
    follower.alive = true
  })
  socket.on('message', (data, isBinary) => {
    budget -= 1
    if (budget < 0) return socket.close(1008, 'too many messages')
    // One after the other, so that answers keep the order of the questions.
    turn = turn
      .then(() => answer(hub, follower, data, isBinary))
      .catch((error: unknown) => {
        options.logger.warn({ event: 'ws.message_failed', err: error })
        follower.send({ type: 'error', code: 'internal', detail: 'Something failed inside.' })
      })
  })
  socket.on('close', () => {
    clearInterval(heart)
    clearTimeout(end)
    unwatch()
    hub.leave(follower)
  })
}

async function answer(hub: Hub, follower: Follower, data: RawData, isBinary: boolean): Promise<void> {
  const read = isBinary ? { refusal: 'The message is binary; expected JSON in a text message.' } : parse(data)
  if ('refusal' in read) return follower.send({ type: 'error', code: 'bad_request', detail: read.refusal })
  const { message } = read
  switch (message.type) {
    case 'ping':
      return follower.send({ type: 'pong' })
    case 'unsubscribe':
      if (message.topic === 'jobs') follower.followAll(false)
      else if (message.id !== undefined) follower.unfollow(message.id)
      return
    case 'subscribe':
      if (message.topic === 'jobs') return hub.followAll(follower)
      return subscribe(hub, follower, message.id, message.after ?? -1)
  }
}

async function subscribe(hub: Hub, follower: Follower, id: string, after: number): Promise<void> {
  if (!follower.jobs.get(id)?.named && follower.named() >= MOST_SUBSCRIPTIONS)
    return follower.send({
      type: 'error',
      code: 'too_many_subscriptions',
      detail: `No more than ${MOST_SUBSCRIPTIONS} jobs at once; subscribe to "jobs" instead.`,
      id,
    })
  try {
    await hub.followJob(follower, id, after)
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error
    follower.send({ type: 'error', code: error.code, detail: error.message, id })
  }
}

function parse(data: RawData): { message: ClientMessage } | { refusal: string } {
  try {
    const read = readInput(ClientMessage, JSON.parse(String(data)))
    return read.problems ? { refusal: problemText(read.problems, 'The message') } : { message: read.data }
  } catch (error) {
    if (error instanceof SyntaxError) return { refusal: 'The message is not JSON.' }
    throw error
  }
}
