import type { Logger } from '@aduana/runtime/logger'
import { type PollLoop, startPollLoop } from '@aduana/runtime/poll-loop'
import { listen } from './listen.ts'

/**
 * Starts a loop that polls at once, whenever PostgreSQL notifies the channel, and `intervalMs` after the last poll, because a
 * notification can be missed. It listens on a connection of its own to the database `url`.
 */
export function startNotifiedPollLoop(options: {
  url: string
  channel: string
  logger: Logger
  intervalMs: number
  poll: (stopping: () => boolean) => Promise<void>
  onError: (error: unknown) => void
}): Pick<PollLoop, 'stop'> {
  const pollLoop = startPollLoop(options)
  const listener = listen({ ...options, onMessage: pollLoop.wake })
  return {
    stop: async () => {
      await pollLoop.stop()
      await listener.close()
    },
  }
}
