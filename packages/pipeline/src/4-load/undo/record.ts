import { randomUUID } from 'node:crypto'
import type { UndoResult } from '@aduana/contracts/undo'
import { audit } from '@aduana/db/audit'
import { appendEvent } from '@aduana/db/event-log'
import { jsonb } from '@aduana/db/jsonb'
import { commitStage } from '@aduana/jobs/stage-log'
import { failPoint } from '@aduana/runtime/fail-points'
import { sql } from 'kysely'
import type { UndoOutput } from '../../stage-outputs.ts'
import { passNoReturn } from '../fenced.ts'
import { recount } from '../ledger.ts'
import { describeUndo } from './report.ts'
import type { Undoing } from './undoing.ts'

/** Write down what was taken back, in its transaction, and pass the undo's point of no return. */
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
  await commitStage(tx, run, output)
  await passNoReturn(tx, job, { result: jsonb(result), message: 'Taken back' })
}

/** Those who depend on the dataset hear that it has changed. */
async function recordChange({ tx, job, reversals }: Undoing, { reversed }: UndoResult): Promise<string> {
  const { facts, run } = job
  const updateId = randomUUID()
  const touched = reversals.flatMap((reversal) => reversal.days)
  const days = [...new Set(touched.map(({ day }) => day))].sort()
  const scopes = [...new Set(touched.map(({ scope }) => scope))].sort()
  await sql`insert into dataset_updates (id, dataset_id, job_id, event_key, days, scopes, rows, cause)
    values (${updateId}, ${facts.datasetId}, ${run.jobId}, ${`${run.jobId}:undone`},
      coalesce((select range_agg(daterange(d, d + 1)) from unnest(${days}::date[]) d), '{}'::datemultirange),
      ${scopes}::text[], ${reversed.restored}, 'undo')`.execute(tx)
  await appendEvent(tx, {
    key: `${run.jobId}:dataset-updated`,
    jobId: run.jobId,
    datasetId: facts.datasetId,
    event: {
      type: 'dataset.updated',
      dataset: facts.definition.code,
      updateId,
      days,
      scopes,
      rows: reversed.restored,
      cause: 'undo',
    },
  })
  return updateId
}
