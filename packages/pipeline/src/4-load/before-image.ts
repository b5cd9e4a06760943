import { join } from 'node:path'
import { listColumns } from '@aduana/datasets/target'
import { copyBefore, createBeforeTable } from '@aduana/datasets/upsert'
import { failPoint } from '@aduana/runtime/fail-points'
import type pg from 'pg'
import { z } from 'zod'
import type { StageJob } from '../stage.ts'
import { type StoredArtifact, storeArtifact } from '../stage-artifacts.ts'
import { copyToFile } from './copy-to-file.ts'
import { copyOldRows } from './old-rows.ts'
import type { ScopeDays } from './plan.ts'

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
    if (replaced.length > 0) rows = await copyOldRows(job, client, replaced, path, { gzip: true })
  } finally {
    client.release()
  }
  return keep(job, path, rows)
}

const Names = z.array(z.object({ name: z.string() }))

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
