import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createMembers, type DimensionTable, selectMembers } from '@aduana/datasets/dimensions'
import type { MemberFile } from '@aduana/datasets/members'
import type pg from 'pg'
import { z } from 'zod'
import type { StageJob } from './stage.ts'

const MemberRow = z.object({ code: z.string(), id: z.string() })

/**
 * Writes the members of every dimension column with this `onMissing` as files in the folder of the stage attempt.
 * Returns the files.
 */
export async function knownMembers(job: StageJob, onMissing: 'create' | 'quarantine'): Promise<MemberFile[]> {
  const files: MemberFile[] = []
  for (const column of job.facts.definition.columns) {
    if (column.type !== 'text' || column.managed || column.dimension?.onMissing !== onMissing) continue
    files.push(await memberFile(job, job.context.pool, column.name, column.dimension))
  }
  return files
}

/** Creates the missing members and writes all members that the codes name to a file in the folder of the stage attempt. */
export async function ensureMembers(
  job: StageJob,
  column: string,
  dimension: DimensionTable & { onMissing: 'create' | 'quarantine' },
  codes: readonly string[],
): Promise<MemberFile> {
  const { pool } = job.context
  if (dimension.onMissing === 'create')
    await pool.query(createMembers(dimension, codes, job.stageAttempt.jobId))
  return memberFile(job, pool, column, dimension, codes)
}

async function memberFile(
  job: StageJob,
  pool: pg.Pool,
  column: string,
  dimension: DimensionTable,
  codes?: readonly string[],
): Promise<MemberFile> {
  const result = await pool.query(selectMembers(dimension, codes))
  const lines = z
    .array(MemberRow)
    .parse(result.rows)
    .map((row) => JSON.stringify(row))
  const file = join(job.folder, `members-${column}.ndjson`)
  await writeFile(file, lines.length > 0 ? `${lines.join('\n')}\n` : '')
  return { column, file }
}
