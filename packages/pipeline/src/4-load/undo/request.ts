import { Role, ScopeList } from '@aduana/contracts/identity'
import type { LoadedImport } from '@aduana/jobs/undo/plan'
import { mayUndo, overlapDetail } from '@aduana/jobs/undo/preconditions'
import { sql } from 'kysely'
import { z } from 'zod'
import { RefusedError } from '../../failure.ts'
import type { StageJob } from '../../stage.ts'

/** Who requested an undo, when, and whether later imports may be undone with it. */
const UndoFacts = z.object({
  userId: z.uuid(),
  role: Role,
  companies: ScopeList,
  warehouses: ScopeList,
  unwind: z.boolean(),
  acceptedAt: z.coerce.date(),
})
export type UndoFacts = z.infer<typeof UndoFacts>

/** Reads what the undo of a stage attempt must do. */
export async function readRequest({ context, stageAttempt }: StageJob): Promise<UndoFacts> {
  const rows = await sql`select j.user_id as "userId", u.role, j.companies, j.warehouses,
      (j.parameters -> 'unwind')::boolean as unwind, j.created_at as "acceptedAt"
    from jobs j join users u on u.id = j.user_id where j.id = ${stageAttempt.jobId}`.execute(context.db)
  return UndoFacts.parse(rows.rows[0])
}

/**
 * Rejects an undo if there are later imports, unless all of them may be undone too. An undo never covers imports loaded
 * after it was requested.
 * @throws RefusedError `undo_overlap`
 */
export function assertNoLaterWriter(request: UndoFacts, later: readonly LoadedImport[]): void {
  if (!request.unwind) throw refused(overlapDetail(later), later)
  const newer = later.filter(({ loadedAt }) => loadedAt > request.acceptedAt)
  if (newer.length > 0)
    throw refused(`${overlapDetail(newer)} They were loaded after this undo was requested.`, newer)
  const foreign = later.filter((one) => !mayUndo(request, one))
  if (foreign.length > 0) throw refused(`${overlapDetail(foreign)} Only an admin may undo them.`, foreign)
}

function refused(detail: string, later: readonly LoadedImport[]): RefusedError {
  return new RefusedError({
    code: 'undo_overlap',
    detail: `${detail} Nothing was changed.`,
    jobs: later.map(({ id }) => id),
  })
}
