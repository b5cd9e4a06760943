import type { LeftByUndo, UndoResult } from '@aduana/contracts/undo'
import { countMembersOf } from '@aduana/datasets/dimensions'
import { sql } from 'kysely'
import { z } from 'zod'
import type { Reversal, Undoing } from './undoing.ts'

const Counted = z.tuple([z.object({ members: z.coerce.number() })])

/**
 * Returns what an undo restored, what stays on purpose, and what could not be restored. If several imports were undone,
 * it compares the end with the beginning: rows that one step restores and a later one removes are not counted.
 */
export async function describeUndo(undoing: Undoing): Promise<UndoResult> {
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
