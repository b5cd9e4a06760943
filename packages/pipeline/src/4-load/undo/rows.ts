import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { Day } from '@aduana/contracts/dates'
import {
  absentRows,
  copyBack,
  countWrittenOfImage,
  countWrittenOfImported,
  deleteImported,
  lockImported,
  restoreRows,
} from '@aduana/datasets/undo'
import type { LoadedImport } from '@aduana/jobs/undo/plan'
import { failPoint } from '@aduana/runtime/fail-points'
import { sql } from 'kysely'
import { z } from 'zod'
import { TryAgainError } from '../../failure.ts'
import { copyImage } from './image.ts'
import type { Image, Rows, Undoing } from './undoing.ts'

/** Restores the rows of the target to their state before an import. */
export async function restoreImportedRows(
  undoing: Undoing,
  one: LoadedImport,
  definition: DatasetDefinition,
  image: Image,
): Promise<Rows> {
  const { client } = undoing
  const days = one.mode === 'upsert' ? undefined : await daysWritten(undoing, one)
  if (one.mode === 'upsert') await client.query(lockImported(definition, one.importNo))
  const deletedAgain = await writtenBefore(undoing, countWrittenOfImported(definition, one.importNo, days))
  const deleted = (await client.query(deleteImported(definition, one.importNo, days))).rowCount ?? 0
  await failPoint('undo.after-delete', String(one.importNo))
  if (one.mode === 'upsert')
    return { deleted, deletedAgain, ...(await restore(undoing, one, definition, image)) }
  if (image.file)
    await copyImage(undoing, copyBack(definition, image.file.columns), image.file.path, image.rows)
  return { deleted, deletedAgain, restored: image.rows, restoredAgain: 0, absent: 0 }
}

const Written = z.tuple([z.object({ rows: z.coerce.number() })])

/** Returns the result of `count` over rows that this transaction has written; 0 before anything was undone. */
async function writtenBefore({ client, reversals }: Undoing, count: string): Promise<number> {
  if (reversals.length === 0) return 0
  const [{ rows }] = Written.parse((await client.query(count)).rows)
  return rows
}

const Absent = z.tuple([z.object({ absent: z.coerce.number() })])

async function restore(
  undoing: Undoing,
  one: LoadedImport,
  definition: DatasetDefinition,
  image: Image,
): Promise<Pick<Rows, 'restored' | 'restoredAgain' | 'absent'>> {
  if (image.rows === 0) return { restored: 0, restoredAgain: 0, absent: 0 }
  const { client } = undoing
  const restoredAgain = await writtenBefore(undoing, countWrittenOfImage(definition, one.importNo))
  const restored = (await client.query(restoreRows(definition, one.importNo))).rowCount ?? 0
  const [{ absent }] = Absent.parse((await client.query(absentRows(definition, one.importNo))).rows)
  // Another upsert, under another window, may have changed a row since it was examined.
  if (restored + absent !== image.rows)
    throw new TryAgainError(`rows of import #${one.importNo} have just changed`)
  return { restored, restoredAgain, absent }
}

const Range = z.array(z.object({ from: Day, to: Day }))

async function daysWritten({ tx }: Undoing, one: LoadedImport): Promise<{ from: Day; to: Day } | undefined> {
  const rows = await sql`select min(day)::text as from, (max(day) + 1)::text as to from window_ledger_before
    where job_id = ${one.id} having count(*) > 0`.execute(tx)
  return Range.parse(rows.rows)[0]
}
