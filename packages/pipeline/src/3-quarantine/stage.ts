import type { JobFailure } from '@aduana/contracts/failures'
import { figure } from '@aduana/contracts/figures'
import { jsonb } from '@aduana/db/jsonb'
import { changeJob } from '@aduana/jobs/lifecycle/transitions'
import { failsForRejects, shareAbove, storeRejects, windowEndHint } from '../rejects.ts'
import { type ImportFacts, type Stage, type StageJob, type StageResult, unpackedBytes } from '../stage.ts'
import { fetchArtifact } from '../stage-artifacts.ts'
import { ParseOutput, readOutput, recognised, ValidateOutput } from '../stage-outputs.ts'

/** The quarantine stage: stores the rejects, up to the dataset's limit, where users can inspect and correct them. */
export const quarantine: Stage = { name: 'quarantine', work }

async function work(job: StageJob): Promise<StageResult> {
  const { context, facts, stageAttempt } = job
  const [parsed, validated] = await Promise.all([
    readOutput(context.db, stageAttempt.jobId, 'parse', ParseOutput),
    readOutput(context.db, stageAttempt.jobId, 'validate', ValidateOutput),
  ])
  const rejects = await fetchArtifact(job, 'rejects.ndjson')
  job.report({ fraction: 0.1, message: 'Storing the rejects', processedItems: parsed.records })
  const store: Extract<StageResult, { kind: 'done' }>['commit'] = async (tx, client) => {
    // A dry run keeps its rejects only in the file: there is nothing to correct in records that are never loaded.
    const stored = facts.dryRun
      ? 0
      : await storeRejects(client, facts, rejects, unpackedBytes(facts), job.signal)
    await changeJob(
      tx,
      { jobId: stageAttempt.jobId, attempt: stageAttempt.attempt, from: ['PROCESSING'] },
      {
        records: parsed.records,
        quarantined: validated.rejected,
        duplicates: validated.duplicates,
        conflicts: validated.conflicts,
        result: jsonb(summary(parsed, validated, stored)),
      },
    )
    return { stored, total: validated.rejected }
  }
  const failure = tooManyRejects(facts, parsed, validated)
  if (!failure) return { kind: 'done', commit: store }
  return { kind: 'fail', failure, keep: async (tx, client) => void (await store(tx, client)) }
}

/** Summarizes the file for users, in addition to the counts. */
function summary(parsed: ParseOutput, validated: ValidateOutput, stored: number): Record<string, unknown> {
  return {
    ...recognised(
      parsed,
      validated.days.map(({ day }) => day),
    ),
    decisions: validated.decisions,
    rejectReasons: validated.reasons.slice(0, 50),
    rejectsStored: stored,
    cleaned: validated.cleaned,
    nullWords: validated.nullWords,
    warnings: [...parsed.warnings, ...validated.warnings],
  }
}

function tooManyRejects(
  facts: ImportFacts,
  parsed: ParseOutput,
  validated: ValidateOutput,
): JobFailure | undefined {
  const { records } = parsed
  const { rejected, clean, kept = rejected } = validated
  if (!failsForRejects(facts.definition, { records, rejected, clean })) return undefined
  const [top] = validated.reasons
  const why = top
    ? ` Most frequent reason${kept < rejected ? ` among the first ${figure(kept)} rejects` : ''}: ${top.code}${top.column === null ? '' : ` in ${top.column}`} (${figure(top.count)}).`
    : ''
  const counted = rejectedShare(facts.definition, { records, rejected, clean })
  const which =
    kept < rejected
      ? `the first ${figure(kept)} rejects are`
      : rejected === 1
        ? 'the reject is'
        : 'the rejects are'
  return {
    code: 'too_many_rejects',
    detail: `${hintFirst(facts, validated)}${counted}${why} Nothing was loaded; ${which} kept. Correct the file and send it again.`,
    rejected,
    records,
    kept,
  }
}

/** Returns a hint when the cause is not the file but `to`, given as if it were inclusive. */
function hintFirst({ window, mode }: ImportFacts, { onlyOnWindowEnd }: ValidateOutput): string {
  return window && onlyOnWindowEnd !== undefined
    ? `${windowEndHint(window, onlyOnWindowEnd, { mode, failed: true })} `
    : ''
}

/** Returns how many records were rejected, and why that is too many. */
function rejectedShare(
  { code, maxRejectRatio }: Pick<ImportFacts['definition'], 'code' | 'maxRejectRatio'>,
  { records, rejected, clean }: { records: number; rejected: number; clean: number },
): string {
  if (rejected === records) return `${allOf(records)} rejected, so there is nothing to load.`
  if (clean === 0)
    return `None of the ${figure(records)} records can be loaded: ${figure(rejected)} ${were(rejected)} rejected, and the others are duplicates.`
  const { share, limit } = shareAbove(rejected / records, maxRejectRatio)
  return `${figure(rejected)} of ${figure(records)} records ${were(rejected)} rejected (${share}); ${code} allows ${limit}.`
}

function allOf(records: number): string {
  if (records === 1) return 'The only record was'
  return records === 2 ? 'Both records were' : `All ${figure(records)} records were`
}

function were(count: number): string {
  return count === 1 ? 'was' : 'were'
}
