import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import { LONG } from '../measure.ts'
import type { Ending, Session } from './session.ts'

/** What one session does in a schedule. */
export interface Actor {
  session: Session
  work: () => Promise<unknown>
}

/** An executed interleaving: which session continued at each choice, and how each session ended. */
export interface Schedule {
  steps: string[]
  endings: Ending[]
}

/** A point at which several sessions can continue. The first of them is the one that ran before, if it can. */
interface Choice {
  taken: number
  of: number
  /** True when the session that ran before can continue: another choice preempts it. */
  preempts: boolean
}

/** With one preemption, all of another session runs before each step of a session. The long tests run every order. */
const MAX_PREEMPTIONS = 1
const MAX_LOCK_STEPS = LONG ? Number.POSITIVE_INFINITY : 2

/** Without shared advisory locks: they block only an exclusive lock, which begins a step itself. */
const LOCK = /\bfor (no key )?update\b|\bfor (key )?share\b|\bpg_(try_)?advisory\w*lock(?!\w*_shared)\b/i
const WRITE = /^\s*(insert|update|delete|merge|truncate)\b|\b(insert into|update \w+ set|delete from)\b/i
const BEGIN = /^\s*(begin|start transaction)\b/i
const END = /^\s*(commit|rollback)\b/i

/**
 * Returns whether a session can be preempted before a statement: before an explicit lock, unless its transaction has locked
 * the same table already; before the first write of a transaction; and before the commit of one that has locked or
 * written. The statements between two such points are one step, because other sessions cannot observe the difference. In
 * a transaction with more than two locks, the later ones belong to the step of the second, except in the long tests.
 */
function beginsStep(statement: string, earlier: readonly string[]): boolean {
  const transaction = earlier.slice(earlier.findLastIndex((one) => BEGIN.test(one)) + 1)
  const locked = new Set(transaction.filter((one) => LOCK.test(one)).map(lockTarget))
  const written = transaction.some((one) => WRITE.test(one))
  if (LOCK.test(statement)) {
    return locked.size < MAX_LOCK_STEPS && !locked.has(lockTarget(statement))
  }
  if (END.test(statement)) return written || locked.size > 0
  return WRITE.test(statement) && !written && (LONG || locked.size === 0)
}

/** Returns the table that a locking statement reads, or the statement itself for advisory locks. */
function lockTarget(statement: string): string {
  if (/\bpg_(try_)?advisory/i.test(statement)) return statement
  return /\bfrom\s+"?(\w+)"?/i.exec(statement)?.[1] ?? statement
}

/**
 * Runs the interleavings of the actors' steps with at most one preemption (all interleavings in the long tests), each in a
 * fresh world, and returns their number. A session that waits for a lock of another is skipped until it has the lock.
 * `check` is called after each interleaving and throws when a promise is broken.
 */
export async function everySchedule(
  monitor: pg.Pool,
  open: () => Promise<Actor[]>,
  check: (schedule: Schedule) => Promise<void>,
): Promise<number> {
  let prefix: Choice[] = []
  for (let count = 1; ; count += 1) {
    const actors = await open()
    const { choices, schedule } = await run(monitor, actors, prefix)
    await check(schedule)
    const next = nextChoices(choices, LONG ? Number.POSITIVE_INFINITY : MAX_PREEMPTIONS)
    if (next === undefined) return count
    prefix = next
  }
}

/** Returns the choices of the next interleaving in a depth-first search; undefined after the last. */
function nextChoices(choices: readonly Choice[], most: number): Choice[] | undefined {
  for (let at = choices.length - 1; at >= 0; at -= 1) {
    const [choice, before] = [choices[at], choices.slice(0, at)]
    if (!choice || choice.taken + 1 >= choice.of) continue
    const preemptions = before.filter(({ taken, preempts }) => preempts && taken > 0).length
    if (choice.preempts && preemptions >= most) continue
    return [...before, { ...choice, taken: choice.taken + 1 }]
  }
  return undefined
}

async function run(
  monitor: pg.Pool,
  actors: readonly Actor[],
  prefix: readonly Choice[],
): Promise<{ choices: Choice[]; schedule: Schedule }> {
  for (const { session, work } of actors) session.start(work)
  for (const { session } of actors) await rest(monitor, session)
  const choices: Choice[] = []
  const steps: string[] = []
  let last: Session | undefined
  for (;;) {
    const open = actors.map(({ session }) => session).filter((session) => !session.ending())
    if (open.length === 0) break
    const able = open
      .filter((session) => session.waiting() !== undefined)
      .sort((a, b) => Number(b === last) - Number(a === last))
    if (able.length === 0) {
      // All wait for locks: either a deadlock, which PostgreSQL resolves, or one of them is about to get its lock.
      await Promise.race(open.map((session) => session.changed()))
      for (const session of open) await rest(monitor, session)
      continue
    }
    const taken = Math.min(prefix[choices.length]?.taken ?? 0, able.length - 1)
    const session = able[taken]
    if (!session) throw new Error('no session can continue')
    choices.push({ taken, of: able.length, preempts: able[0] === last })
    last = session
    steps.push(`${session.name}: ${summary(session.waiting() ?? '')}`)
    await step(monitor, session)
    for (const other of open) await rest(monitor, other)
  }
  const endings = actors.map(
    ({ session }) => session.ending() ?? { kind: 'returned' as const, value: undefined },
  )
  return { choices, schedule: { steps, endings } }
}

async function step(monitor: pg.Pool, session: Session): Promise<void> {
  do {
    session.permit()
    await rest(monitor, session)
  } while (mayContinue(session))
}

function mayContinue(session: Session): boolean {
  const next = session.waiting()
  return next !== undefined && !session.running() && !beginsStep(next, session.log)
}

const POLL_MS = 2

/** Waits until a session has a statement ready, has ended, or waits for a lock. */
async function rest(monitor: pg.Pool, session: Session): Promise<void> {
  while (!session.ending() && session.waiting() === undefined) {
    await Promise.race([session.changed(), delay(POLL_MS)])
    if (session.ending() || session.waiting() !== undefined) return
    if (session.running() && (await isBlocked(monitor, session))) return
  }
}

async function isBlocked(monitor: pg.Pool, session: Session): Promise<boolean> {
  const { rows } = await monitor.query<{ blocked: boolean }>(
    'select bool_or(cardinality(pg_blocking_pids(pid)) > 0) as blocked from unnest($1::int[]) as pid',
    [session.pids()],
  )
  return rows[0]?.blocked === true
}

function summary(statement: string): string {
  return statement.replace(/\s+/g, ' ').trim().slice(0, 90)
}
