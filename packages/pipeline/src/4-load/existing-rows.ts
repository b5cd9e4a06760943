import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import type { JobFailure } from '@aduana/contracts/failures'
import { counted, figure } from '@aduana/contracts/figures'
import { type ImportWarning, type ImportWarningCode, importWarning } from '@aduana/contracts/import-warnings'
import type { LoadPreview } from '@aduana/contracts/load-preview'
import { asFields, TAKE_BACK } from '@aduana/contracts/send-again'
import { presentRows } from '@aduana/datasets/present-rows'
import { anyRows, type Selection } from '@aduana/datasets/target'
import { jsonb } from '@aduana/db/jsonb'
import { importOfSameBytes, sameBytes } from '@aduana/jobs/accept/same-bytes'
import { type RawBuilder, sql } from 'kysely'
import type pg from 'pg'
import { z } from 'zod'
import { RefusedError } from '../failure.ts'
import type { StageJob } from '../stage.ts'
import type { ValidateOutput } from '../stage-outputs.ts'
import { type LoadPlan, plannedDays, selectionsOf } from './plan.ts'

/** What a load found, or would find, among the existing rows. */
export type FoundRows = Pick<LoadPreview, 'alreadyPresent' | 'sameVersion'>

/** Up to this number, removed rows cause no warning, however few rows replace them. */
const FEW_ROWS = 10

/**
 * Returns the warnings about the existing rows that a load affects. `rows` is the number of rows of the load, `removed`
 * the number of rows that the replaced days had. The texts hold for a completed load, a waiting one and a dry run.
 */
export function loadWarnings(
  definition: DatasetDefinition,
  { rows, removed }: { rows: number; removed: number },
  { alreadyPresent, sameVersion }: FoundRows,
): ImportWarning[] {
  const warnings: ImportWarning[] = []
  if (removed > FEW_ROWS && rows * 2 < removed)
    warnings.push(
      importWarning(
        'many_rows_removed',
        `The import removes the ${figure(removed)} rows that its days had before, and inserts ${counted(rows, 'row')} in their place. If rows are missing from the file, ${TAKE_BACK}. Then send the whole file.`,
        { count: removed },
      ),
    )
  if (alreadyPresent > 0)
    warnings.push(
      importWarning(
        'rows_already_present',
        `${figure(alreadyPresent)} of ${counted(rows, 'row')} ${alreadyPresent === 1 ? 'is' : 'are'} already in the table, with the same values in all columns. An append adds such rows again. If that is not wanted, ${TAKE_BACK}.`,
        { count: alreadyPresent },
      ),
    )
  if (sameVersion.rows > 0)
    warnings.push(
      importWarning(
        'same_version',
        `${counted(sameVersion.rows, 'record')} ${sameVersion.rows === 1 ? 'has' : 'have'} the same version (${definition.versionColumn}) as the stored row, but other values, for example ${sameVersion.example}. The values of the file take precedence. If the stored values are right, ${TAKE_BACK}.`,
        { column: definition.versionColumn ?? null, count: sameVersion.rows },
      ),
    )
  return warnings
}

const CODES: readonly ImportWarningCode[] = [
  'many_rows_removed',
  'rows_already_present',
  'same_version',
  'already_imported',
]

/**
 * Returns SQL that puts these warnings in place of those of an earlier preview in the result of a job. `first` are the
 * warnings that come before all others.
 */
export function resultWithWarnings(
  warnings: readonly ImportWarning[],
  first: readonly ImportWarning[] = [],
): RawBuilder<string> {
  return sql<string>`jsonb_set(coalesce(result, '{}'), '{warnings}',
    ${jsonb([...first])}::jsonb || (select coalesce(jsonb_agg(w order by place), '[]') from jsonb_array_elements(coalesce(result -> 'warnings', '[]'))
        with ordinality as known(w, place) where w ->> 'code' <> all (${[...CODES]}::text[])) || ${jsonb([...warnings])}::jsonb)`
}

/**
 * Rejects an upsert that would change rows of a company or warehouse that the uploader has no access to.
 * @throws RefusedError if there are such rows
 */
export function assertForeignKeys(found: { rows: number; example: string | null }): void {
  if (found.rows === 0) return
  throw new RefusedError({
    code: 'key_in_other_scope',
    detail: `${counted(found.rows, 'row')} ${found.rows === 1 ? 'has' : 'have'} a key that belongs to a row of another company or warehouse, such as "${found.example}". Nothing was changed. Remove these records from the file, or ask a user with access to import them.`,
    rows: found.rows,
  })
}

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
export async function repeatedBytes({
  context,
  facts,
  stageAttempt,
}: StageJob): Promise<Repeated | undefined> {
  if (facts.forced) return undefined
  const { content_sha256: sha256 } = await context.db
    .selectFrom('jobs')
    .select('content_sha256')
    .where('id', '=', stageAttempt.jobId)
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
  { context, facts, stageAttempt }: StageJob,
  { digest, clean }: ValidateOutput,
): Promise<Repeated | undefined> {
  if (facts.mode !== 'append' || facts.forced || digest === undefined) return undefined
  const found = await sql<{ job_id: string; file_name: string; import_no: number }>`
    select i.job_id, i.file_name, i.import_no from imports i join jobs j on j.id = i.job_id
    where i.dataset_id = ${facts.datasetId} and i.rows_digest = ${digest} and j.id <> ${stageAttempt.jobId}
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
