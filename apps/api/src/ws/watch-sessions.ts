import type { Principal } from '@aduana/contracts/identity'
import type { Database } from '@aduana/db/database'
import type { Listener } from '@aduana/db/listen'
import type { Logger } from '@aduana/runtime/logger'
import { findPrincipals, type Session } from '../users/sessions.ts'

const LOOK_MS = 1000

/** What the holder of a watched session is told. */
export interface SessionEvents {
  /** Who the user is now: the role or the scope may have changed. */
  refreshed(principal: Principal): void
  /** The session has ended before its time. */
  ended(): void
}

/** Follows sessions for as long as something stands on them. */
export interface SessionWatch {
  /** Follows a session. Returns what stops it. */
  watch(session: Session, events: SessionEvents): () => void
  close(): Promise<void>
}

/**
 * Looks at all watched sessions in one query: at once when PostgreSQL says that a user or a session has changed, and
 * every second, because such a message can be missed.
 */
export function watchSessions(
  context: { db: Database; logger: Logger; followSessions(onChange: () => void): Listener },
  lookMs = LOOK_MS,
): SessionWatch {
  const { db, logger } = context
  const watched = new Map<Session, SessionEvents>()
  let looking: Promise<void> | undefined
  let again = false
  let closed = false

  const look = async () => {
    do {
      again = false
      const sessions = [...watched.keys()]
      if (sessions.length === 0) return
      try {
        const principals = await findPrincipals(db, sessions)
        for (const session of sessions) {
          const principal = principals.get(session.sessionId)
          if (principal) watched.get(session)?.refreshed(principal)
          else watched.get(session)?.ended()
        }
      } catch (error) {
        logger.warn({ event: 'ws.sessions_not_read', err: error })
      }
    } while (again && !closed)
  }
  const lookNow = () => {
    again = true
    looking ??= look().finally(() => {
      looking = undefined
    })
  }
  const timer = setInterval(lookNow, lookMs)
  const listener = context.followSessions(lookNow)
  return {
    watch: (session, events) => {
      watched.set(session, events)
      return () => void watched.delete(session)
    },
    close: async () => {
      closed = true
      clearInterval(timer)
      await listener.close()
      await looking
    },
  }
}
