import { inTransaction } from '@aduana/db/database'
import { interruptible } from '@aduana/db/interruptible'
import { lockJobOfAttempt } from '@aduana/jobs/stage-attempts/stage-attempts'
import { type LoadedImport, loadedImports, unwindingOf, writtenWindows } from '@aduana/jobs/undo/plan'
import { releaseWindows, type Window } from '@aduana/jobs/windows/windows'
import { failPoint } from '@aduana/runtime/fail-points'
import { sql } from 'kysely'
import type { StageJob, StageResult } from '../../stage.ts'
import { inFencedTransaction } from '../fenced.ts'
import { holdLease } from '../hold-lease.ts'
import { claimOrPark } from '../windows.ts'
import { recordUndo } from './record.ts'
import { reverse } from './reverse.ts'
import { readRequest } from './undoing.ts'

/**
 * Performs the load stage of an undo: waits for the windows that the import wrote, and undoes the import in one fenced
 * transaction together with the ledger, the dataset update and the state of the jobs.
 */
export async function undo(job: StageJob): Promise<StageResult> {
  const { context, facts } = job
  const request = await readRequest(job)
  const [first] = await loadedImports(context.db, sql`j.id = ${facts.importId}`)
  if (!first)
    return {
      kind: 'fail',
      failure: {
        code: 'already_undone',
        detail: `Import #${facts.importNo} has already been undone by another job. Nothing was changed.`,
      },
    }
  const windows = await windowsOfUndo(job, first, request.unwind)
  await dropNarrowerLocks(job, windows)
  if (!(await claimOrPark(job, windows))) return { kind: 'park', reason: 'waits for its window' }

  const held = await holdLease(job)
  if (!held) return { kind: 'snooze', milliseconds: 2000, reason: 'another process holds the lease' }
  const leased = { ...job, signal: held.signal }
  try {
    await failPoint('undo.before-transaction', String(facts.importNo))
    await inFencedTransaction(leased, held.lease, async (tx, client) => {
      const undoing = { job: leased, tx, client, request, reversals: [] }
      await interruptible(client, { ...leased.context, signal: leased.signal }, () => reverse(undoing, first))
      await recordUndo(undoing)
    })
    await failPoint('undo.after-commit', String(facts.importNo))
    return { kind: 'committed' }
  } finally {
    await held.release()
  }
}

/** Returns the windows of the import and of all imports that may have to be undone with it, one for each scope. */
async function windowsOfUndo({ context }: StageJob, first: LoadedImport, unwind: boolean): Promise<Window[]> {
  const { db } = context
  if (!unwind) return writtenWindows(db, [first.id])
  // Only the table shows which upserts changed each other's rows.
  const imports =
    first.mode === 'upsert'
      ? await loadedImports(
          db,
          sql`j.dataset_id = ${first.datasetId} and j.loaded_at >= ${first.loadedAt.toISOString()}::timestamptz`,
        )
      : await unwindingOf(db, first)
  return writtenWindows(db, [first.id, ...imports.map(({ id }) => id)])
}

/**
 * Releases the locks of this job that have become too narrow because another import came in between. The job then waits
 * again for everything that it needs.
 */
async function dropNarrowerLocks(
  { context, stageAttempt }: StageJob,
  windows: readonly Window[],
): Promise<void> {
  const held = await sql`select 1 from window_locks where job_id = ${stageAttempt.jobId}`.execute(context.db)
  if (held.rows.length === 0) return
  for (const { scope, from, to } of windows) {
    const covered =
      await sql`select 1 from window_locks where job_id = ${stageAttempt.jobId} and scope = ${scope}
      and days @> daterange(${from}::date, ${to}::date)`.execute(context.db)
    if (covered.rows.length > 0) continue
    await inTransaction(context.db, async (tx) => {
      await lockJobOfAttempt(tx, stageAttempt)
      await releaseWindows(tx, stageAttempt.jobId)
    })
    return
  }
}
