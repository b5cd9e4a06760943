import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { copyIn, deleteRows, type Selection } from '@aduana/datasets/target'
import { createStageTable, mergeStage, stageTable } from '@aduana/datasets/upsert'
import type { Tx } from '@aduana/db/database'
import { failPoint } from '@aduana/runtime/fail-points'
import { sql } from 'kysely'
import type pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import { z } from 'zod'
import type { StageJob } from '../stage.ts'
import { PREPARED } from './prepare-file.ts'
import type { Publishing } from './publishing.ts'

/** Rows that a load changed in the target. */
export interface Written {
  inserted: number
  updated: number
  unchanged: number
  removed: number
}

const Merged = z.object({
  inserted: z.coerce.number(),
  updated: z.coerce.number(),
  unchanged: z.coerce.number(),
})

/** Write the rows into the target by the mode of the import, inside the load's transaction. */
export async function writeRows(
  job: StageJob,
  tx: Tx,
  client: pg.PoolClient,
  publishing: Publishing,
): Promise<Written> {
  switch (job.facts.mode) {
    case 'replace-window':
      return replaceWindow(job, client, publishing)
    case 'append':
      return { inserted: await copyRows(job, client, publishing), updated: 0, unchanged: 0, removed: 0 }
    case 'upsert':
      return upsert(job, tx, client, publishing)
  }
}

/** Delete what the window holds, then insert; a failure in the middle leaves the old rows as they were. */
async function replaceWindow(job: StageJob, client: pg.PoolClient, publishing: Publishing): Promise<Written> {
  let removed = 0
  for (const selection of replaced(job, publishing)) {
    const result = await client.query(deleteRows(job.facts.definition, selection))
    removed += result.rowCount ?? 0
  }
  await failPoint('load.after-delete')
  return { inserted: await copyRows(job, client, publishing), updated: 0, unchanged: 0, removed }
}

/** A declared window is replaced as a whole; otherwise only the days that the accepted rows bring. */
function replaced(job: StageJob, { windows, validated }: Publishing): Selection[] {
  const { definition, window } = job.facts
  const scoped = (scope: string) => (definition.replaceScope === undefined ? {} : { scope })
  if (window) return windows.map(({ scope }) => ({ days: window, ...scoped(scope) }))
  return windows.map(({ scope }) => ({
    days: validated.days.filter((entry) => entry.scope === scope).map(({ day }) => day),
    ...scoped(scope),
  }))
}

async function upsert(
  job: StageJob,
  tx: Tx,
  client: pg.PoolClient,
  publishing: Publishing,
): Promise<Written> {
  const { definition } = job.facts
  await client.query(createStageTable(definition))
  await copyRows(job, client, publishing, stageTable(definition))
  const merged = await sql.raw(mergeStage(definition)).execute(tx)
  return { ...Merged.parse(merged.rows[0]), removed: 0 }
}

/** COPY the prepared file; every accepted row arrives or none. Answers how many. */
async function copyRows(
  job: StageJob,
  client: pg.PoolClient,
  { file, validated }: Publishing,
  table?: string,
): Promise<number> {
  const { size } = await stat(file)
  const copy = client.query(copyFrom(copyIn(job.facts.definition, table)))
  let sent = 0
  const meter = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      sent += chunk.length
      const fraction = size === 0 ? 1 : sent / size
      job.report({
        fraction: PREPARED + fraction * (1 - PREPARED) * 0.97,
        message: 'Loading the rows',
        totalItems: validated.clean,
        processedItems: Math.round(validated.clean * fraction),
      })
      failPoint('load.during-copy').then(
        () => done(null, chunk),
        (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
      )
    },
  })
  await pipeline(createReadStream(file, { highWaterMark: 512 * 1024 }), meter, copy, { signal: job.signal })
  await failPoint('load.after-copy')
  if (copy.rowCount !== validated.clean)
    throw new Error(`${validated.clean} rows were accepted, but ${copy.rowCount} arrived in the table`)
  return copy.rowCount
}
