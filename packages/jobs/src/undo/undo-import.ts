import { hasRole, type Principal } from '@aduana/contracts/identity'
import { JobAccepted } from '@aduana/contracts/jobs'
import { ProblemError } from '@aduana/contracts/problems'
import type { UndoRequest } from '@aduana/contracts/undo'
import { type RegisteredDataset, readDataset } from '@aduana/datasets/registry'
import { audit } from '@aduana/db/audit'
import { type Database, inTransactionWithLockTimeout, type Tx } from '@aduana/db/database'
import { appendEvent } from '@aduana/db/event-log'
import { jsonb } from '@aduana/db/jsonb'
import { violatedConstraint } from '@aduana/db/sql-errors'
import { failPoint } from '@aduana/runtime/fail-points'
import { sql } from 'kysely'
import { newJobId } from '../accept/accept-import.ts'
import { createIdempotently, type IdempotentResult, type RepeatableRequest } from '../accept/idempotency.ts'
import { assertNotMetricResults } from '../accept/metric-results.ts'
import { ensureQueueCapacity, lockQueueCapacity, type QueueLimits } from '../accept/queue-capacity.ts'
import { wakeDispatchers } from '../lifecycle/transitions.ts'
import { readJob } from '../read/jobs.ts'
import { lockDatasetOfJob } from '../windows/placement.ts'
import { type LoadedImport, loadedImports, unwindingOf } from './plan.ts'
import {
  assertBeforeImages,
  assertNoOpenUndo,
  assertOwnImports,
  assertUndoable,
  assertWithinUndoDays,
  movedSince,
  overlapProblem,
  undoOpen,
} from './preconditions.ts'

/**
 * Accepts a request to undo an import, which a new job then executes. Requests are validated here as far as possible; the
 * job checks again once it holds the windows.
 * @throws ProblemError `not_found`, `forbidden`, `illegal_transition`, `already_undone`, `undo_open`, `undo_expired`,
 * `undo_overlap`, `queue_full`, `idempotency_key_reused`, `belongs_to_run`
 */
export async function undoImport(
  context: QueueLimits & { db: Database },
  principal: Principal,
  id: string,
  request: UndoRequest,
  repeatable?: RepeatableRequest,
): Promise<IdempotentResult<JobAccepted>> {
  const { db } = context
  if (!hasRole(principal.role, 'operator'))
    throw new ProblemError('forbidden', 'Undoing requires the role operator, steward or admin. Ask an admin.')
  await readJob(db, principal, id)
  try {
    const accepted = await inTransactionWithLockTimeout(db, (tx) =>
      createIdempotently(tx, repeatable, JobAccepted, async () => {
        const held = await lockDatasetOfJob(tx, id)
        await lockQueueCapacity(tx)
        await ensureQueueCapacity(tx, context, principal.tenant)
        const undo = newJobId()
        await create(tx, principal, { id, undo, request, moved: held?.moved === true })
        return { status: 202, body: { id: undo, status: 'QUEUED' as const } }
      }),
    )
    await failPoint('accept.after-commit')
    return accepted
  } catch (error) {
    if (violatedConstraint(error) === 'jobs_one_undo') throw undoOpen(undefined)
    throw error
  }
}

interface Undoing {
  /** The id of the import. */
  id: string
  /** The id of the undo job. */
  undo: string
  request: UndoRequest
  /** Whether the days, time zone or scopes of its dataset have changed since. */
  moved: boolean
}

async function create(tx: Tx, principal: Principal, undoing: Undoing): Promise<void> {
  const { id, request, moved } = undoing
  // Until this commits, no other undo can begin and no file of the import is removed.
  const job = await tx
    .selectFrom('jobs')
    .select(['type', 'status', 'batch_deleted', 'undone_by', 'dry_run', 'dataset_id'])
    .where('id', '=', id)
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow()
  assertUndoable(job)
  await assertNotMetricResults(tx, id, 'Recompute the days of the metric instead.')
  await assertNoOpenUndo(tx, id)
  const [first] = await loadedImports(tx, sql`j.id = ${id}`)
  if (!first)
    throw new ProblemError('illegal_transition', 'The job has loaded nothing, so there is nothing to undo.')
  const dataset = await currentDataset(tx, first.datasetId)
  await assertWithinUndoDays(tx, first, dataset.definition)
  if (moved) throw movedSince(first, dataset.code)
  await assertBeforeImages(tx, first)
  const unwinding = await unwindingOf(tx, first)
  if (unwinding.length > 1 && !request.unwind) throw overlapProblem(unwinding.filter((one) => one.id !== id))
  assertOwnImports(principal, unwinding)
  await insert(tx, principal, undoing, first, dataset.code)
}

/** Returns the current version of a dataset, whose `undoDays` decides how long imports can be undone. */
async function currentDataset(tx: Tx, id: string): Promise<RegisteredDataset> {
  const { code } = await tx
    .selectFrom('datasets')
    .select('code')
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  return readDataset(tx, code)
}

async function insert(
  tx: Tx,
  principal: Principal,
  { id, undo, request }: Undoing,
  first: LoadedImport,
  dataset: string,
): Promise<void> {
  const { importNo } = first
  const file = await tx
    .selectFrom('imports')
    .select('file_name')
    .where('job_id', '=', id)
    .executeTakeFirstOrThrow()
  await tx
    .insertInto('jobs')
    .values({
      id: undo,
      type: 'undo',
      dataset_id: first.datasetId,
      parent_id: id,
      user_id: principal.userId,
      tenant: principal.tenant,
      companies: principal.companies,
      warehouses: principal.warehouses,
      message: 'Waiting to be processed',
      parameters: jsonb({ import: id, importNo, unwind: request.unwind, fileName: file.file_name }),
    })
    .execute()
  await appendEvent(tx, {
    key: `${undo}:accepted`,
    jobId: undo,
    datasetId: first.datasetId,
    event: { type: 'undo.accepted', dataset, import: id, unwind: request.unwind },
  })
  await audit(tx, {
    actor: principal.userId,
    action: 'import.undo',
    subjectType: 'job',
    subjectId: id,
    details: { undo, importNo, unwind: request.unwind },
  })
  await wakeDispatchers(tx)
}
