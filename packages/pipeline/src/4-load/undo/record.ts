import type { UndoResult } from '@aduana/contracts/undo'
import { audit } from '@aduana/db/audit'
import { appendEvent } from '@aduana/db/event-log'
import { jsonb } from '@aduana/db/jsonb'
import { commitStage } from '@aduana/jobs/stage-attempts/stage-attempts'
import { failPoint } from '@aduana/runtime/fail-points'
import type { UndoOutput } from '../../stage-outputs.ts'
import { writeUpdate } from '../dataset-update.ts'
import { markLoaded } from '../fenced.ts'
import { recount } from '../ledger.ts'
import { describeUndo } from './report.ts'
import type { Undoing } from './undoing.ts'

/** Records what was undone, in its transaction, and marks the undo as past its point of no return. */
export async function recordUndo(undoing: Undoing): Promise<void> {
  const { tx, job, reversals } = undoing
  const { facts, run } = job
  await recount(
    tx,
    facts,
    reversals.flatMap(({ days }) => days),
  )
  const result = await describeUndo(undoing)
  const updateId = await recordChange(undoing, result)
  for (const { one, deleted, restored } of reversals) {
    await appendEvent(tx, {
      key: `${run.jobId}:undone:${one.id}`,
      jobId: one.id,
      datasetId: one.datasetId,
      event: { type: 'import.undone', undoJob: run.jobId, deleted, restored },
    })
    await audit(tx, {
      actor: facts.userId,
      action: 'import.undone',
      subjectType: 'job',
      subjectId: one.id,
      details: { undo: run.jobId, importNo: one.importNo, deleted, restored },
    })
  }
  await failPoint('undo.before-commit', String(facts.importNo))
  const { deleted, restored } = result.reversed
  const output: UndoOutput = { updateId, deleted, restored }
  await markLoaded(tx, job, { result: jsonb(result), message: 'Rows restored' })
  await commitStage(tx, run, output)
}

/** Records the dataset update, for everything that depends on the dataset. */
function recordChange({ tx, job, reversals }: Undoing, { reversed }: UndoResult): Promise<string> {
  const touched = reversals.flatMap((reversal) => reversal.days)
  return writeUpdate(tx, job, {
    cause: 'undo',
    days: [...new Set(touched.map(({ day }) => day))].sort(),
    scopes: [...new Set(touched.map(({ scope }) => scope))].sort(),
    companies: null,
    warehouses: null,
    rows: reversed.restored,
  })
}
