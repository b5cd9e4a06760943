import { setTimeout as delay } from 'node:timers/promises'
import type { Job } from '@aduana/contracts/jobs'
import type { ServerMessage } from '@aduana/contracts/progress'
import type { Api } from '../api/api.ts'
import { readJob } from '../api/calls.ts'
import { ApiProblem, ConnectionError, outcomeOfError } from '../errors.ts'
import { subscribe } from './socket.ts'
import { hasSettled, type JobView, viewOf, withMessage, withPolled } from './view.ts'

const POLL_MS = 1000
// The poll interval while the socket is open, as a fallback.
const OPEN_POLL_MS = 10_000
const FIRST_RETRY_MS = 250
const MAX_RETRY_MS = 15_000
const UNREACHABLE_TIMEOUT_MS = 5 * 60_000

/** Waiting times that a test shortens. */
export interface FollowTimes {
  pollMs: number
  openPollMs: number
  unreachableTimeoutMs: number
}

const TIMES: FollowTimes = {
  pollMs: POLL_MS,
  openPollMs: OPEN_POLL_MS,
  unreachableTimeoutMs: UNREACHABLE_TIMEOUT_MS,
}

/**
 * Follows a job until it ends or waits for approval, and returns it: over a WebSocket, which is reopened when it breaks, and by
 * polling once a second while it is closed. Waits for an API that restarts.
 * @throws ApiProblem, ConnectionError when the API has not been reached for minutes, and the reason of `api.signal`
 */
export async function followJob(
  api: Api,
  id: string,
  onView: (view: JobView) => void,
  times: FollowTimes = TIMES,
): Promise<Job> {
  const ended = new AbortController()
  let view = viewOf(await readJob(api, id))
  let newsAt = Date.now()
  const take = (next: JobView) => {
    // A poll that was pending at the end is older than the end.
    if (ended.signal.aborted) return
    newsAt = Date.now()
    if (next === view) return
    view = next
    onView(view)
    if (hasSettled(view)) ended.abort()
  }
  onView(view)
  if (hasSettled(view)) return view.job
  const line = keepSubscribed(
    api,
    id,
    ended.signal,
    () => view.seq,
    (message) => take(withMessage(view, message)),
  )
  try {
    await poll({
      until: AbortSignal.any([ended.signal, api.signal]),
      times,
      due: () => Date.now() - newsAt >= (line.isOpen() ? times.openPollMs : times.pollMs),
      ask: async () => take(withPolled(view, await readJob(api, id))),
    })
    api.signal.throwIfAborted()
    return view.job
  } finally {
    ended.abort()
    await line.done
  }
}

interface Polling {
  until: AbortSignal
  times: FollowTimes
  /** Returns true if it is time to poll. */
  due(): boolean
  ask(): Promise<void>
}

async function poll({ until, times, due, ask }: Polling): Promise<void> {
  let reachedAt = Date.now()
  while (!until.aborted) {
    await pause(times.pollMs / 4, until)
    if (until.aborted || !due()) continue
    try {
      await ask()
      reachedAt = Date.now()
    } catch (error) {
      if (until.aborted) return
      if (!isTransient(error) || Date.now() - reachedAt > times.unreachableTimeoutMs) throw error
      await pause(times.pollMs, until)
    }
  }
}

/** Keeps a subscription open until `ended`. It is reopened with growing pauses. */
function keepSubscribed(
  api: Api,
  id: string,
  ended: AbortSignal,
  lastSeen: () => number,
  onMessage: (message: ServerMessage) => void,
): { isOpen(): boolean; done: Promise<void> } {
  let open = false
  const until = AbortSignal.any([ended, api.signal])
  const keep = async () => {
    let wait = FIRST_RETRY_MS
    while (!until.aborted) {
      const subscription = subscribe(api, { id, after: lastSeen() }, (message) => {
        open = true
        wait = FIRST_RETRY_MS
        onMessage(message)
      })
      const close = () => subscription.close()
      until.addEventListener('abort', close, { once: true })
      await subscription.closed
      until.removeEventListener('abort', close)
      open = false
      await pause(wait * (0.75 + Math.random() / 2), until)
      wait = Math.min(wait * 2, MAX_RETRY_MS)
    }
  }
  return { isOpen: () => open, done: keep() }
}

/** Waits for a time, or until the signal is aborted. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, { signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error
  })
}

/** Returns true for an error that ends when the API is available again. */
function isTransient(error: unknown): boolean {
  if (error instanceof ConnectionError) return true
  return (
    error instanceof ApiProblem && (outcomeOfError(error) === 'unavailable' || error.problem.status >= 500)
  )
}
