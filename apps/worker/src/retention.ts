import type { ArtifactStore } from '@aduana/artifacts/store'
import { type Database, databaseTime } from '@aduana/db/database'
import { applyRetention } from '@aduana/jobs/retention/apply'
import { whileClaimed } from '@aduana/jobs/retention/claim'
import { pruneEvents } from '@aduana/jobs/retention/prune-events'
import { pruneJobs } from '@aduana/jobs/retention/prune-jobs'
import { pruneRuns } from '@aduana/metrics/runs/prune'
import { pruneUpdates } from '@aduana/metrics/updates/prune'
import type { WorkerSettings } from '@aduana/runtime/config'
import type { Logger } from '@aduana/runtime/logger'

/** The settings that determine for how many days rows of history are kept. */
export type KeptDays = Pick<WorkerSettings, 'ADUANA_EVENT_DAYS' | 'ADUANA_HISTORY_DAYS'>

/** Removes the files, and then the rows, that are past their retention. Safe at any time, in any number of processes. */
export async function removeExpired(
  db: Database,
  store: ArtifactStore,
  settings: KeptDays,
  logger: Logger,
): Promise<void> {
  await applyRetention(db, store, logger)
  await pruneRows(db, settings, logger)
}

/**
 * Removes the rows that are past their retention, in small transactions. If it is interrupted, committed batches stay
 * removed and the next night continues. `now` is the database's time by default.
 */
export async function pruneRows(
  db: Database,
  { ADUANA_EVENT_DAYS, ADUANA_HISTORY_DAYS }: KeptDays,
  logger: Logger,
  now?: Date,
): Promise<void> {
  const pruned: Record<string, number> = {}
  const claimed = await whileClaimed(db, async (connection) => {
    const at = now ?? (await databaseTime(connection))
    const history = { days: ADUANA_HISTORY_DAYS, now: at }
    Object.assign(pruned, await pruneJobs(connection, history))
    pruned.runs = await pruneRuns(connection, history)
    pruned.updates = await pruneUpdates(connection, history)
    pruned.events = await pruneEvents(connection, { days: ADUANA_EVENT_DAYS, now: at })
  })
  logger.info({ event: 'retention.rows_removed', claimed, ...pruned })
}
