import type { LeftByUndo, UndoResult } from '@aduana/contracts/undo'
import { countMembersOf } from '@aduana/datasets/dimensions'
import { audit } from '@aduana/db/audit'
import { appendEvent } from '@aduana/db/event-log'
import { jsonb } from '@aduana/db/jsonb'
import { commitStage } from '@aduana/jobs/stage-attempts/stage-attempts'
import { failPoint } from '@aduana/runtime/fail-points'
import { sql } from 'kysely'
import { z } from 'zod'
import type { UndoOutput } from '../../stage-outputs.ts'
import { markLoaded } from '../fenced.ts'
import { recount } from '../ledger.ts'
import { writeUpdate } from '../record-update.ts'
import type { Reversal, Undoing } from './undoing.ts'

/** Records what was undone, in its transaction, and marks the undo as past its point of no return. */
export async function recordUndo(undoing: Undoing): Promise<void> {
  const { tx, job, reversals } = undoing
  const { facts, stageAttempt } = job
  await recount(
    tx,
    facts,
    reversals.flatMap(({ days }) => days),
  )
  const result = await describeUndo(undoing)
  const updateId = await recordChange(undoing, result)
  for (const { one, deleted, restored } of reversals) {
    await appendEvent(tx, {
      key: `${stageAttempt.jobId}:undone:${one.id}`,
      jobId: one.id,
      datasetId: one.datasetId,
      event: { type: 'import.undone', undoJob: stageAttempt.jobId, deleted, restored },
    })
    await audit(tx, {
      actor: facts.userId,
      action: 'import.undone',
      subjectType: 'job',
      subjectId: one.id,
      details: { undo: stageAttempt.jobId, importNo: one.importNo, deleted, restored },
    })
  }
  await failPoint('undo.before-commit', String(facts.importNo))
  const { deleted, restored } = result.reversed
  const output: UndoOutput = { updateId, deleted, restored }
  await markLoaded(tx, job, { result: jsonb(result), message: 'Rows restored' })
  await commitStage(tx, stageAttempt, output)
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

const Counted = z.tuple([z.object({ members: z.coerce.number() })])

/**
 * Returns what an undo restored, what stays on purpose, and what could not be restored. If several imports were undone,
 * it compares the end with the beginning: rows that one step restores and a later one removes are not counted.
 */
async function describeUndo(undoing: Undoing): Promise<UndoResult> {
  const { reversals } = undoing
  const sum = (of: (reversal: Reversal) => number) =>
    reversals.reduce((total, reversal) => total + of(reversal), 0)
  const deletedAgain = sum((reversal) => reversal.deletedAgain)
  const rejectsAgain = sum(({ rejectsSupersededAgain }) => rejectsSupersededAgain)
  return {
    imports: reversals.map(({ one }) => one.id),
    reversed: {
      deleted: sum(({ deleted }) => deleted) - Math.min(deletedAgain, rowsCopiedBack(reversals)),
      restored: sum(({ restored, restoredAgain }) => restored - restoredAgain) - deletedAgain,
      rejectsReopened: sum(({ rejectsReopened }) => rejectsReopened) - rejectsAgain,
      rejectsSuperseded: sum(({ rejectsSuperseded }) => rejectsSuperseded) - rejectsAgain,
    },
    kept: await membersKept(undoing),
    impossible: [...absentRows(sum(({ absent }) => absent)), ...(await confirmedRows(undoing))],
  }
}

/**
 * Counts the rows that were not in the table when the undo began. Rows that an upsert had changed were in it, with
 * other values.
 */
function rowsCopiedBack(reversals: readonly Reversal[]): number {
  return reversals.reduce((rows, { one, restored }) => rows + (one.mode === 'upsert' ? 0 : restored), 0)
}

/** Counts the dimension members that the imports created. */
async function membersKept({ client, reversals }: Undoing): Promise<LeftByUndo[]> {
  const kept = new Map<string, number>()
  for (const { one, definition } of reversals)
    for (const column of definition.columns) {
      if (column.type !== 'text' || column.dimension?.onMissing !== 'create') continue
      const counted = await client.query(countMembersOf(column.dimension, one.id))
      const [{ members }] = Counted.parse(counted.rows)
      const { table } = column.dimension
      kept.set(table, (kept.get(table) ?? 0) + members)
    }
  return [...kept]
    .filter(([, count]) => count > 0)
    .map(([table, count]) => ({
      what: `members of ${table}`,
      count,
      why: 'rows of other imports may reference them; members are never deleted',
    }))
}

function absentRows(count: number): LeftByUndo[] {
  if (count === 0) return []
  return [{ what: 'changed rows', count, why: 'another program has deleted them from the table' }]
}

/** Counts the rows that later upserts sent unchanged. These wrote nothing, so the undo leaves nothing of them either. */
async function confirmedRows({ tx, reversals }: Undoing): Promise<LeftByUndo[]> {
  const oldest = reversals.at(-1)
  if (oldest?.one.mode !== 'upsert') return []
  const rows = await sql<{ unchanged: string | null; imports: string[] | null }>`
    select sum(j.unchanged) as unchanged, array_agg(i.import_no::text order by i.import_no) as imports
    from jobs j join imports i on i.job_id = j.id
    where j.dataset_id = ${oldest.one.datasetId} and j.loaded_at > ${oldest.one.loadedAt.toISOString()}::timestamptz
      and not j.batch_deleted and j.unchanged > 0`.execute(tx)
  const [found] = rows.rows
  if (!found || found.unchanged === null || found.imports === null) return []
  const numbers = found.imports.map((number) => `#${number}`).join(', ')
  return [
    {
      what: 'rows that later imports sent unchanged (maximum)',
      count: Number(found.unchanged),
      why: `the rows were already stored, so imports ${numbers} did not write them; rows that the undo deleted must be imported again from these files`,
    },
  ]
}
