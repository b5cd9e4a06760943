import { ProblemError } from '@aduana/contracts/problems'
import { isTransient } from '@aduana/db/sql-errors'
import type pg from 'pg'
import type { Rebuilt } from './kept.ts'
import { everySchedule, type Schedule } from './scheduler.ts'
import type { Ending, Session } from './session.ts'

/** What one session does in a world, through its own connections. */
export type Transaction<World> = (session: Session, world: World) => Promise<unknown>

/** Sessions that meet in a world. */
export interface Meeting<World> {
  sessions: readonly Session[]
  /** Shows which sessions wait for others. */
  monitor: pg.Pool
  rebuilt: Rebuilt<World>
  /** What each session does, in their order. */
  transactions: readonly Transaction<World>[]
  /** The promises that are broken after a schedule. */
  broken: (schedule: Schedule, world: World) => Promise<string[]>
}

/**
 * Runs transactions at once in every order, and returns how many orders there were.
 * @throws Error with the steps of the order after which a promise was broken, or in which a transaction failed
 */
export function meet<World>({
  sessions,
  monitor,
  rebuilt: { world, restore },
  transactions,
  broken,
}: Meeting<World>): Promise<number> {
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

/** A process that takes work over terminates the connection that a silent one works on. */
const wasTerminated = (error: unknown) =>
  isTransient(error) && /terminat|not queryable|ECONNRESET/.test(error instanceof Error ? error.message : '')

const REFUSALS = ['OvertakenError', 'CancelledError', 'TryAgainError', 'LostRunsError']

/** Returns the error of a session, unless it is an expected refusal. */
function fault(ending: Ending): string[] {
  if (ending.kind === 'returned' || ending.error instanceof ProblemError) return []
  if (ending.error instanceof Error && REFUSALS.includes(ending.error.name)) return []
  return wasTerminated(ending.error) ? [] : [`threw ${String(ending.error)}`]
}
