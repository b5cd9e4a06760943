import { type Database, inTransaction } from '@aduana/db/database'
import type { Logger } from '@aduana/runtime/logger'
import { startPollLoop } from '@aduana/runtime/poll-loop'
import { sql } from 'kysely'
import { recordHeartbeats } from '../runs/runner-events.ts'
import type { ClaimedRun } from './claim.ts'

/** Keeps runs alive while they are computed, and notices when somebody else ends them. */
export interface RunMonitor {
  /** Runs that are no longer ours: cancelled, or given up because we were silent for too long. */
  lost: ReadonlySet<string>
  /** Tell when one of these runs is lost from now on. */
  guard(runIds: readonly string[], onLost: () => void): void
  /** The share of the guarded runs that is done. */
  progress(share: number): void
  /** These have ended. */
  ended(runIds: readonly string[]): void
  stop(): Promise<void>
}

const POLL_MS = 1000
/** Every so many looks the runs give a sign of life. */
const POLLS_PER_HEARTBEAT = 3

/** Watch runs, over another connection than the one that computes. */
export function monitorRuns(db: Database, claimed: readonly ClaimedRun[], logger: Logger): RunMonitor {
  const open = new Map(claimed.map(({ runId, attempt }) => [runId, attempt]))
  const shares = new Map<string, number>()
  const lost = new Set<string>()
  let guarded: readonly string[] = []
  let tell: () => void = () => undefined
  let looks = 0

  const lose = (runIds: readonly string[]) => {
    const gone = runIds.filter((id) => open.delete(id))
    if (gone.length === 0) return
    for (const id of gone) lost.add(id)
    logger.info({ event: 'metric_runner.lost', runs: gone.length, first: gone[0] })
    if (gone.some((id) => guarded.includes(id))) tell()
  }
  const rounds = startPollLoop({
    intervalMs: POLL_MS,
    poll: async () => {
      lose(await findLost(db, open))
      looks += 1
      if (looks % POLLS_PER_HEARTBEAT === 0) lose(await sendHeartbeats(db, open, shares))
    },
    onError: (error) => logger.warn({ event: 'metric_runner.monitor_failed', err: error }),
  })
  return {
    lost,
    guard: (runIds, onLost) => {
      guarded = runIds
      tell = onLost
      if (runIds.some((id) => lost.has(id))) onLost()
    },
    progress: (share) => {
      for (const id of guarded) shares.set(id, share)
    },
    ended: (runIds) => {
      for (const id of runIds) open.delete(id)
    },
    stop: () => rounds.stop(),
  }
}

async function findLost(db: Database, open: ReadonlyMap<string, number>): Promise<string[]> {
  if (open.size === 0) return []
  const rows = [...open].map(([id, attempt]) => ({ id, attempt }))
  const found = await sql<{
    id: string
  }>`select o.id from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as o(id uuid, attempt integer)
    where not exists (select from metric_runs r where r.id = o.id and r.attempt = o.attempt and r.status = 'RUNNING')`.execute(
    db,
  )
  return found.rows.map(({ id }) => id)
}

async function sendHeartbeats(
  db: Database,
  open: ReadonlyMap<string, number>,
  shares: ReadonlyMap<string, number>,
): Promise<string[]> {
  if (open.size === 0) return []
  const at = new Date().toISOString()
  const events = [...open].map(([runId, attempt]) => {
    const progress = shares.get(runId)
    return { runId, attempt, at, ...(progress === undefined ? {} : { progress: Math.min(1, progress) }) }
  })
  const outcomes = await inTransaction(db, (tx) => recordHeartbeats(tx, events))
  return events.filter((_, index) => outcomes[index] !== 'applied').map(({ runId }) => runId)
}
