import type { ArtifactStore } from '@aduana/artifacts/store'
import { audit } from '@aduana/db/audit'
import { type Database, inTransaction, type Tx } from '@aduana/db/database'
import { failPoint } from '@aduana/runtime/fail-points'
import type { Logger } from '@aduana/runtime/logger'
import { sql } from 'kysely'
import { whileClaimed } from './claim.ts'
import { dueFiles, type Keeping, keepings } from './due.ts'

const JOBS_AT_ONCE = 200
const FILES_AT_ONCE = 8

/** What the retention removed; all 0 when another process was applying it. */
export interface Removed {
  files: number
  bytes: number
}

/**
 * Removes the files that are past the retention of their datasets, and returns how many files and bytes. Files that an
 * undo, retry or replay still needs stay. Safe at any time and in any number of processes: only one does it at once, and
 * housekeeping removes the bytes that a process left behind when it died.
 */
export async function applyRetention(
  db: Database,
  store: ArtifactStore,
  logger: Logger,
  now: Date = new Date(),
): Promise<Removed> {
  const removed = { files: 0, bytes: 0 }
  const claimed = await whileClaimed(db, async (connection) => {
    for (const keeping of await keepings(connection, now))
      await removeFiles(connection, store, keeping, removed)
  })
  logger.info({ event: 'retention.done', claimed, ...removed })
  return removed
}

async function removeFiles(
  db: Database,
  store: ArtifactStore,
  keeping: Keeping,
  removed: Removed,
): Promise<void> {
  for (;;) {
    const files = await inTransaction(db, (tx) => markRemoved(tx, keeping))
    if (files.length === 0) return
    await failPoint('retention.after-commit', String(files.length))
    for (let from = 0; from < files.length; from += FILES_AT_ONCE) {
      const some = files.slice(from, from + FILES_AT_ONCE)
      await Promise.all(some.map(({ key }) => store.remove(key)))
      removed.files += some.length
      removed.bytes += some.reduce((sum, { bytes }) => sum + Number(bytes), 0)
    }
  }
}

/**
 * Marks the due files of some jobs as removed, and returns them. The files are selected again after their jobs have been
 * locked, so that no retry, undo or replay can begin in between.
 */
async function markRemoved(tx: Tx, keeping: Keeping): Promise<{ key: string; bytes: string }[]> {
  const due = dueFiles(keeping)
  const jobs = await sql<{ id: string }>`
    select j.id from jobs j where exists (select from artifacts a where ${due})
    order by j.completed_at limit ${JOBS_AT_ONCE} for no key update skip locked`.execute(tx)
  if (jobs.rows.length === 0) return []
  const files = await sql<{ key: string; bytes: string }>`
    update artifacts a set removed_at = ${keeping.now} from jobs j
    where j.id = any (${jobs.rows.map(({ id }) => id)}::uuid[]) and ${due} returning a.key, a.bytes`.execute(
    tx,
  )
  if (files.rows.length === 0) return []
  await audit(tx, {
    actor: null,
    action: 'retention.remove',
    subjectType: 'dataset',
    subjectId: keeping.datasetId ?? 'none',
    details: {
      files: files.rows.length,
      bytes: files.rows.reduce((sum, { bytes }) => sum + Number(bytes), 0),
      ...keeping.retention,
    },
  })
  return files.rows
}
