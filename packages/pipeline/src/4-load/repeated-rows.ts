import type { JobFailure } from '@aduana/contracts/failures'
import { counted } from '@aduana/contracts/figures'
import { asFields } from '@aduana/contracts/send-again'
import { presentRows } from '@aduana/datasets/present-rows'
import { anyRows, type Selection } from '@aduana/datasets/target'
import { importOfSameBytes, sameBytes } from '@aduana/jobs/accept/same-bytes'
import { sql } from 'kysely'
import type pg from 'pg'
import { z } from 'zod'
import type { StageJob } from '../stage.ts'
import type { ValidateOutput } from '../stage-outputs.ts'
import { selectionsOf } from './old-rows.ts'
import { type LoadPlan, plannedDays } from './preview/basis.ts'

/** What an import repeats, in two sentences: what was found, and how to import it anyway. */
export interface Repeated {
  jobId: string
  found: string
  remedy: string
}

/** Returns the failure of an import that repeats an earlier one. */
export function alreadyImported({ jobId, found, remedy }: Repeated): JobFailure {
  return { code: 'already_imported', detail: `${found} Nothing was loaded. ${remedy}`, jobId }
}

/**
 * Returns the earlier import with the same bytes, for which the import of a dry run would be refused; undefined if
 * there is none.
 */
export async function repeatedBytes({ context, facts, run }: StageJob): Promise<Repeated | undefined> {
  if (facts.forced) return undefined
  const { content_sha256: sha256 } = await context.db
    .selectFrom('jobs')
    .select('content_sha256')
    .where('id', '=', run.jobId)
    .executeTakeFirstOrThrow()
  if (sha256 === null) return undefined
  const { datasetId, definition } = facts
  const first = await importOfSameBytes(context.db, { datasetId, sha256 })
  return first && { jobId: first.id, ...sameBytes(definition.code, first) }
}

/**
 * Returns the earlier import that an append repeats, even if the bytes of the two files differ; undefined if there is
 * none, or if the repetition is forced. Imports of the same rows write the same days, so the second one, which waits
 * for the windows, sees the result of the first.
 */
export async function repeatedRows(
  { context, facts, run }: StageJob,
  { digest, clean }: ValidateOutput,
): Promise<Repeated | undefined> {
  if (facts.mode !== 'append' || facts.forced || digest === undefined) return undefined
  const found = await sql<{ job_id: string; file_name: string; import_no: number }>`
    select i.job_id, i.file_name, i.import_no from imports i join jobs j on j.id = i.job_id
    where i.dataset_id = ${facts.datasetId} and i.rows_digest = ${digest} and j.id <> ${run.jobId}
      and j.loaded_at is not null and not j.batch_deleted order by i.import_no limit 1`.execute(context.db)
  const [first] = found.rows
  if (!first) return undefined
  return {
    jobId: first.job_id,
    found: `The file has the same ${counted(clean, 'row')} as import #${first.import_no} ("${first.file_name}", job ${first.job_id}).`,
    remedy: `To append ${clean === 1 ? 'the row' : 'the rows'} again, send the file with ${asFields({ force: 'true' })}.`,
  }
}

const Found = z.tuple([z.object({ found: z.boolean() })])
const Counted = z.tuple([z.object({ rows: z.coerce.number().int() })])

/** Returns a function that counts, after an append, how many of its rows existed before. Call it before the append writes. */
export async function beforeAppend(
  job: StageJob,
  client: pg.PoolClient,
  plan: LoadPlan,
): Promise<() => Promise<number>> {
  const { definition, mode, importNo } = job.facts
  if (mode !== 'append') return async () => 0
  const selections = touchedBy(job, plan)
  const [{ found }] = Found.parse((await client.query(anyRows(definition, selections))).rows)
  if (!found) return async () => 0
  return async () => {
    const { rows } = await client.query(presentRows(definition, importNo, selections))
    return Counted.parse(rows)[0].rows
  }
}

/** Returns the rows of the days that an append writes to, or all rows of a dataset without days. */
function touchedBy(job: StageJob, plan: LoadPlan): Selection[] {
  const { definition, companies, warehouses } = job.facts
  return definition.windowColumn === undefined
    ? [{ days: 'all', coverage: { companies, warehouses } }]
    : selectionsOf(job, plannedDays(plan))
}
