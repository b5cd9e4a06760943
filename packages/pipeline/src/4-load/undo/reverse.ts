import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { readDefinition } from '@aduana/datasets/registry'
import { laterWriters } from '@aduana/datasets/undo'
import type { Tx } from '@aduana/db/database'
import { tryChangeJob } from '@aduana/jobs/lifecycle/transitions'
import { type LoadedImport, laterOwners, loadedImports, newestFirst } from '@aduana/jobs/undo/plan'
import { sql } from 'kysely'
import { z } from 'zod'
import { TryAgainError } from '../../failure.ts'
import { daysOf, type LedgerDay, lockDays } from '../ledger.ts'
import { openImage, restoreImportedRows } from './rows.ts'
import { assertNoLaterWriter, type Image, type Rejects, type Reversal, type Undoing } from './undoing.ts'

// In a table that Aduana did not create, the column may be a bigint, which arrives as text.
const Writers = z.array(z.object({ import_no: z.coerce.number().int() }))

/**
 * Undoes an import; before it, newest first, all imports that depend on it, if that was requested.
 * @throws RefusedError `undo_overlap`; TryAgainError if something changed in between
 */
export async function reverse(undoing: Undoing, one: LoadedImport): Promise<void> {
  const { tx, job, request } = undoing
  await mustHold(undoing, one)
  const pinned = await readDefinition(tx, one.datasetId, one.version)
  const definition = { ...pinned, loadMode: one.mode }
  const image = await openImage(undoing, one, definition)
  for (;;) {
    const later = await standing(undoing, one, definition)
    const [newest] = later
    if (newest === undefined) break
    assertNoLaterWriter(request, later)
    await reverse(undoing, newest)
  }
  undoing.reversals.push(await takeBack(undoing, one, definition, image))
  job.report({ fraction: 0.9, message: `Undoing import #${one.importNo}` })
}

/** Returns the imports that depend on one, newest first: by the days that they own, and by the rows that they changed. */
async function standing(
  { tx, client }: Undoing,
  one: LoadedImport,
  definition: DatasetDefinition,
): Promise<LoadedImport[]> {
  const owners = await laterOwners(tx, one)
  if (one.mode !== 'upsert') return owners
  const rows = Writers.parse((await client.query(laterWriters(definition, one.importNo))).rows)
  const numbers = rows.map((row) => row.import_no)
  if (numbers.length === 0) return owners
  const writers = await loadedImports(tx, sql`i.import_no = any (${numbers}::int[])`)
  if (writers.length !== numbers.length)
    throw new Error(`rows of import #${one.importNo} were changed by imports that do not exist: ${numbers}`)
  const known = new Set(owners.map(({ id }) => id))
  return [...owners, ...writers.filter(({ id }) => !known.has(id))].sort(newestFirst)
}

async function takeBack(
  undoing: Undoing,
  one: LoadedImport,
  definition: DatasetDefinition,
  image: Image,
): Promise<Reversal> {
  const { tx, job } = undoing
  const rows = await restoreImportedRows(undoing, one, definition, image)
  const days = await restoreLedger(tx, one, definition, image)
  const rejects = await restoreRejects(tx, one.id, job.stageAttempt.jobId)
  const version = await tryChangeJob(
    tx,
    { jobId: one.id, from: ['COMPLETED'] },
    {
      batch_deleted: true,
      undone_by: job.stageAttempt.jobId,
      message: 'Undone: the rows of the import were removed',
    },
  )
  if (version === undefined) throw new TryAgainError(`import #${one.importNo} has not ended yet`)
  return { one, definition, days, ...rows, ...rejects }
}

/**
 * Verifies that the locks of this job keep other writers out of the import's windows, and that the import was not
 * undone in the meantime.
 */
async function mustHold({ tx, job }: Undoing, one: LoadedImport): Promise<void> {
  const [still] = await loadedImports(tx, sql`j.id = ${one.id}`)
  if (!still) throw new TryAgainError(`import #${one.importNo} has been undone in the meantime`)
  const open = await sql`select 1 from window_ledger_before b where b.job_id = ${one.id} and not exists (
    select from window_locks k where k.job_id = ${job.stageAttempt.jobId} and k.dataset_id = b.dataset_id
      and k.scope = b.scope and k.days @> b.day) limit 1`.execute(tx)
  if (open.rows.length > 0) throw new TryAgainError(`the windows of import #${one.importNo} are not held`)
}

/**
 * Returns the days of an import to their former owners. A day without a former owner stays with the import, which is
 * marked as undone. Returns the days on which rows changed; for an upsert also those to which rows were moved back.
 */
async function restoreLedger(
  tx: Tx,
  one: LoadedImport,
  definition: DatasetDefinition,
  image: Image,
): Promise<LedgerDay[]> {
  const of = sql`b.job_id = ${one.id} and b.dataset_id = ${one.datasetId}`
  const written = await sql<LedgerDay>`select b.scope, b.day::text as day from window_ledger_before b
    where ${of} order by b.scope, b.day`.execute(tx)
  const moved = image.table && image.file ? await daysOf(tx, definition, image.table) : []
  const days = [...written.rows, ...moved]
  await lockDays(tx, one.datasetId, days)
  await sql`update window_ledger l set job_id = b.former_job_id from window_ledger_before b
    where ${of} and l.dataset_id = b.dataset_id and l.scope = b.scope and l.day = b.day
      and l.job_id = b.job_id and b.former_job_id is not null`.execute(tx)
  // The successor of the import becomes the successor of its predecessor.
  await sql`update window_ledger_before n set former_job_id = b.former_job_id, former_rows = b.former_rows
    from window_ledger_before b
    where ${of} and n.former_job_id = b.job_id and n.dataset_id = b.dataset_id and n.scope = b.scope
      and n.day = b.day`.execute(tx)
  return days
}

/**
 * Supersedes the open rejects of an import that is undone, and reopens those of earlier imports that its load had
 * superseded.
 */
async function restoreRejects(tx: Tx, importId: string, undo: string): Promise<Rejects> {
  // `now()` is the start time of the transaction.
  const again = await sql<{ rows: string }>`select count(*) as rows from quarantined_records
    where job_id = ${importId} and state = 'open' and updated_at = now()`.execute(tx)
  const superseded = await sql`update quarantined_records
    set state = 'superseded', superseded_by = ${undo}, updated_at = now()
    where job_id = ${importId} and state = 'open'`.execute(tx)
  const reopened = await sql`update quarantined_records q
    set state = 'open', superseded_by = null, updated_at = now()
    from jobs j where j.id = q.job_id and not j.batch_deleted
      and q.superseded_by = ${importId} and q.state = 'superseded'`.execute(tx)
  return {
    rejectsSupersededAgain: Number(again.rows[0]?.rows ?? 0),
    rejectsSuperseded: Number(superseded.numAffectedRows ?? 0n),
    rejectsReopened: Number(reopened.numAffectedRows ?? 0n),
  }
}
