import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { Day } from '@aduana/contracts/dates'
import {
  absentRows,
  copyBack,
  countWrittenOfImage,
  countWrittenOfImported,
  createImageTable,
  deleteImported,
  imageTable,
  lockImported,
  restoreRows,
} from '@aduana/datasets/undo'
import { stageOutput } from '@aduana/jobs/stage-attempts/stage-attempts'
import type { LoadedImport } from '@aduana/jobs/undo/plan'
import { failPoint } from '@aduana/runtime/fail-points'
import { piped } from '@aduana/runtime/piped'
import { sql } from 'kysely'
import type pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { z } from 'zod'
import { LostFileError, RefusedError, TryAgainError } from '../../failure.ts'
import { fetchArtifactOf } from '../../stage-artifacts.ts'
import { LoadOutput } from '../../stage-outputs.ts'
import { BEFORE_IMAGE } from '../before-image.ts'
import type { Image, Rows, Undoing } from './undoing.ts'

/** Fetches the before-image of an import and copies that of an upsert into a temporary table. @throws RefusedError */
export async function openImage(
  undoing: Undoing,
  one: LoadedImport,
  definition: DatasetDefinition,
): Promise<Image> {
  const { client } = undoing
  const { beforeRows: rows } = LoadOutput.parse(await stageOutput(undoing.tx, one.id, 'load'))
  if (rows === undefined) throw gone(one, 'The before-image was removed, or was never stored.')
  const file = rows === 0 ? undefined : await fetchImage(undoing, one)
  if (one.mode !== 'upsert') return { rows, file, table: undefined }
  const table = imageTable(one.importNo)
  await client.query(createImageTable(definition, one.importNo, file?.columns ?? [ID_OF_ROW]))
  if (file) {
    await copyImage(undoing, copyBack(definition, file.columns, table), file.path, rows)
    await client.query(`analyze ${table}`)
  }
  return { rows, file, table }
}

const ID_OF_ROW = 'id'

async function fetchImage({ job }: Undoing, one: LoadedImport): Promise<NonNullable<Image['file']>> {
  try {
    const path = await fetchArtifactOf(job, one.id, BEFORE_IMAGE, `${one.importNo}-${BEFORE_IMAGE}`)
    return { path, columns: await readHeader(path) }
  } catch (error) {
    throw error instanceof LostFileError ? gone(one, error.message) : error
  }
}

function gone(one: LoadedImport, why: string): RefusedError {
  return new RefusedError({
    code: 'artifact_missing',
    detail: `The rows that import #${one.importNo} replaced cannot be restored. ${why} Nothing was changed. To replace the rows of the import, import a file for the same days.`,
  })
}

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

/** Copies a before-image into a table with COPY. @throws Error if not every row arrives */
export async function copyImage(
  { client, job }: Pick<Undoing, 'client' | 'job'>,
  statement: string,
  path: string,
  rows: number,
): Promise<void> {
  const arrived = await copyFile(client, statement, path, job.signal)
  if (arrived !== rows) throw new Error(`${rows} rows were kept, but ${arrived} arrived in the table`)
}

async function copyFile(
  client: pg.PoolClient,
  statement: string,
  path: string,
  signal: AbortSignal,
): Promise<number> {
  const copy = client.query(copyFrom(statement))
  await pipeline(createReadStream(path), createGunzip(), copy, { signal })
  return copy.rowCount
}

/** Returns the column names of a before-image. @throws Error if the file cannot be read or unpacked */
export async function readHeader(path: string): Promise<string[]> {
  const content = piped(createReadStream(path), createGunzip())
  let text = ''
  for await (const part of content.setEncoding('utf8')) {
    text += part
    if (HEADER.test(text)) break
  }
  const [line = ''] = HEADER.exec(text) ?? []
  return [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",\n]*))/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  )
}

/** Matches the first line; a quoted name may contain line breaks. */
const HEADER = /^(?:"(?:[^"]|"")*"|[^"\n])+(?=\n)/
