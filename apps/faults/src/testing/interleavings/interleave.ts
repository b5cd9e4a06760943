import { ProblemError } from '@aduana/contracts/problems'
import { isTransient } from '@aduana/db/sql-errors'
import type pg from 'pg'
import { everySchedule, type Schedule } from './scheduler.ts'
import type { Ending, Session } from './session.ts'
import type { WorldSnapshot } from './snapshot.ts'

/** What one session does in a world, through its own connections. */
export type Transaction<World> = (session: Session, world: World) => Promise<unknown>

/** Concurrent sessions in a world. */
export interface Interleaving<World> {
  sessions: readonly Session[]
  /** Shows which sessions wait for others. */
  monitor: pg.Pool
  snapshot: WorldSnapshot<World>
  /** The transaction of each session, in their order. */
  transactions: readonly Transaction<World>[]
  /** Returns the promises that are broken after a schedule. */
  broken: (schedule: Schedule, world: World) => Promise<string[]>
}

/**
 * Runs concurrent transactions in every interleaving, and returns the number of interleavings.
 * @throws Error with the steps of an interleaving that breaks a promise, or in which a transaction fails
 */
export function interleave<World>({
  sessions,
  monitor,
  snapshot: { world, restore },
  transactions,
  broken,
}: Interleaving<World>): Promise<number> {
  const actors = transactions.map((transaction, index) => {
    const session = sessions[index]
    if (!session) throw new Error(`there are only ${sessions.length} sessions`)
    return { session, work: () => transaction(session, world) }
  })
  const open = async () => {
    await restore()
    return actors
  }
  const check = async (schedule: Schedule) => {
    const found = [...schedule.endings.flatMap(fault), ...(await broken(schedule, world))]
    if (found.length === 0) return
    throw new Error(`${found.join('\n')}\nafter these steps:\n${schedule.steps.join('\n')}`)
  }
  return everySchedule(monitor, open, check)
}

/** True when a transaction achieved its purpose. */
export function succeeded(ending: Ending): boolean {
  if (ending.kind === 'threw') return false
  const kind: unknown =
    typeof ending.value === 'object' && ending.value !== null && Reflect.get(ending.value, 'kind')
  return kind !== 'stop'
}

/** A process that takes over work terminates the connection of the silent process. */
const wasTerminated = (error: unknown) =>
  isTransient(error) && /terminat|not queryable|ECONNRESET/.test(error instanceof Error ? error.message : '')

const REFUSALS = ['OvertakenError', 'CancelledError', 'TryAgainError', 'LostRunsError']

/** Returns the error of a session, unless it is an expected refusal. */
function fault(ending: Ending): string[] {
  if (ending.kind === 'returned' || ending.error instanceof ProblemError) return []
  if (ending.error instanceof Error && REFUSALS.includes(ending.error.name)) return []
  return wasTerminated(ending.error) ? [] : [`threw ${String(ending.error)}`]
}
