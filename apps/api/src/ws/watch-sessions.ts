import type { Principal } from '@aduana/contracts/identity'
import type { Database } from '@aduana/db/database'
import type { Listener } from '@aduana/db/listen'
import type { Logger } from '@aduana/runtime/logger'
import { startPollLoop } from '@aduana/runtime/poll-loop'
import { findPrincipals, type Session } from '../users/sessions.ts'

const POLL_INTERVAL_MS = 1000

/** Callbacks of the holder of a watched session. */
export interface SessionEvents {
  /** The current user: the role or the scope may have changed. */
  refreshed(principal: Principal): void
  /** The session has ended before its expiry. */
  ended(): void
}

/** Watches sessions as long as WebSockets belong to them. */
export interface SessionWatch {
  /** Watches a session. Returns a function that stops watching. */
  watch(session: Session, events: SessionEvents): () => void
  close(): Promise<void>
}

/**
 * Reads all watched sessions in one query: immediately when PostgreSQL notifies of a changed user or session, and every
 * second, because a notification can be missed.
 */
export function watchSessions(
  context: { db: Database; logger: Logger; followSessions(onChange: () => void): Listener },
  pollMs = POLL_INTERVAL_MS,
): SessionWatch {
  const { db, logger } = context
  const watched = new Map<Session, SessionEvents>()
  const pollLoop = startPollLoop({
    intervalMs: pollMs,
    poll: async () => {
      const sessions = [...watched.keys()]
      if (sessions.length === 0) return
      const principals = await findPrincipals(db, sessions)
      for (const session of sessions) {
        const principal = principals.get(session.sessionId)
        if (principal) watched.get(session)?.refreshed(principal)
        else watched.get(session)?.ended()
      }
    },
    onError: (error) => logger.warn({ event: 'ws.sessions_not_read', err: error }),
  })
  const listener = context.followSessions(pollLoop.wake)
  return {
    watch: (session, events) => {
      watched.set(session, events)
      return () => void watched.delete(session)
    },
    close: async () => {
      await listener.close()
      await pollLoop.stop()
    },
  }
}
