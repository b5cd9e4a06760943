import { join } from 'node:path'
import { anyRows, copyOut, listColumns } from '@aduana/datasets/target'
import { copyBefore, createBeforeTable } from '@aduana/datasets/upsert'
import { interruptible } from '@aduana/db/interruptible'
import { failPoint } from '@aduana/runtime/fail-points'
import type pg from 'pg'
import { z } from 'zod'
import type { StageJob } from '../stage.ts'
import { type StoredArtifact, storeArtifact } from '../stage-artifacts.ts'
import { copyToFile } from './copy-rows.ts'
import { type ScopeDays, selectionsOf } from './plan.ts'

/** Name of the artifact with the rows that a load replaced or changed, in their former state. */
export const BEFORE_IMAGE = 'before-image.csv.gz'

/** The rows that a load replaces or changes, kept for an undo. */
export interface BeforeImage {
  rows: number
  /** Absent if there were no rows. */
  file: StoredArtifact | undefined
}

/**
 * Takes the before-image of the rows that a replacing load deletes, on a connection of its own, while `use` fills fresh
 * months. The windows are held, so their rows do not change until the load. Its transaction counts the rows again
 * nevertheless.
 */
export async function withBeforeImage(
  job: StageJob,
  replaced: readonly ScopeDays[],
  use: (image: Promise<BeforeImage>) => Promise<void>,
): Promise<void> {
  const image = imageOfReplaced(job, replaced)
  // If `use` fails, the image is not awaited any more; its failure must not end the process.
  image.catch(() => undefined)
  try {
    await use(image)
  } finally {
    await image.catch(() => undefined)
  }
}

async function imageOfReplaced(job: StageJob, replaced: readonly ScopeDays[]): Promise<BeforeImage> {
  await failPoint('load.before-image', String(job.facts.importNo))
  const path = join(job.folder, BEFORE_IMAGE)
  const client = await job.context.pool.connect()
  let rows = 0
  try {
    if (replaced.length > 0) rows = await copyOldRows(job, client, replaced, path)
  } finally {
    client.release()
  }
  return keep(job, path, rows)
}

const Found = z.tuple([z.object({ found: z.boolean() })])
const Names = z.array(z.object({ name: z.string() }))

/**
 * Copies the rows that a load replaces to one local CSV file, compressed, with a header (NULL is empty, the empty text is `""`).
 * Returns the number of rows; without any, there is no file. The rows cannot change while the job holds its windows.
 */
async function copyOldRows(
  job: StageJob,
  client: pg.PoolClient,
  replaced: readonly ScopeDays[],
  path: string,
): Promise<number> {
  const { definition } = job.facts
  const selections = selectionsOf(job, replaced)
  return interruptible(client, { ...job.context, signal: job.signal }, async () => {
    const [{ found }] = Found.parse((await client.query(anyRows(definition, selections))).rows)
    if (!found) return 0
    const columns = Names.parse((await client.query(listColumns(definition))).rows).map(({ name }) => name)
    return copyToFile(client, copyOut(definition, columns, selections), path, { gzip: true })
  })
}

/**
 * Takes the before-image of the stored rows that an upsert is about to change, in its transaction. The rows stay locked
 * until the transaction ends, so an upsert of the same keys under another window waits.
 */
export async function imageOfChanged(job: StageJob, client: pg.PoolClient): Promise<BeforeImage> {
  await failPoint('load.before-image', String(job.facts.importNo))
  const { definition } = job.facts
  const columns = Names.parse((await client.query(listColumns(definition))).rows).map(({ name }) => name)
  const created = await client.query(createBeforeTable(definition, columns))
  const path = join(job.folder, BEFORE_IMAGE)
  const rows = created.rowCount ?? 0
  if (rows > 0) await copyToFile(client, copyBefore(definition), path, { gzip: true })
  return keep(job, path, rows)
}

async function keep(job: StageJob, path: string, rows: number): Promise<BeforeImage> {
  const file =
    rows === 0
      ? undefined
      : await storeArtifact(job, {
          path,
          name: BEFORE_IMAGE,
          mediaType: 'application/gzip',
        })
  await failPoint('load.after-image', String(job.facts.importNo))
  return { rows, file }
}
