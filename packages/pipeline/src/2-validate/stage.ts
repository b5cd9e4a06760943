import type { Day } from '@aduana/contracts/dates'
import { type CatalogueTable, readCatalogue } from '@aduana/datasets/catalogue'
import {
  contradictionFailure,
  decisionWarnings,
  evidenceStatements,
  readDecisions,
  storedDecisions,
} from '@aduana/datasets/decisions/column-decisions'
import { checkFit } from '@aduana/datasets/fit'
import { lit, quoteIdentifier } from '@aduana/datasets/literals'
import type { ValidationInput } from '@aduana/datasets/validation/plan'
import { surveyFile } from '@aduana/datasets/validation/survey'
import { type RejectLimit, validateRecords } from '@aduana/datasets/validation/validate-records'
import type { EngineTasks } from '@aduana/engine/larger'
import { z } from 'zod'
import { RefusedError } from '../failure.ts'
import { knownMembers, zonesOf } from '../reference-data.ts'
import { failsForRejects, MAX_REJECTS_OF_FAILED, maxRejectsOfFailed } from '../rejects.ts'
import { engineFor, type Stage, type StageJob, type StageResult, unpackedBytes } from '../stage.ts'
import { fetchArtifact, registerArtifacts, storeArtifact } from '../stage-artifacts.ts'
import { ParseOutput, readOutput, type ValidateOutput } from '../stage-outputs.ts'
import { writeRejectFiles } from './reject-files.ts'
import { conflictWarnings, timeWarnings, undeclaredNullWord } from './warnings.ts'
import { tooWide, tooWideFailure } from './window-too-wide.ts'

/** The validate stage: divides the records into clean ones, rejects with every reason, duplicates and conflicts. */
export const validate: Stage = { name: 'validate', work }

async function work(job: StageJob): Promise<StageResult> {
  const { context, facts, folder } = job
  const catalogue = await requireFittingTables(job)
  const parsed = await readOutput(context.db, job.stageAttempt.jobId, 'parse', ParseOutput)
  const engine = engineFor(context, facts)
  const input = await inputOf(job, parsed, catalogue)
  const found = await partRecords(job, engine, parsed, input)
  if (found.kind === 'contradiction') return { kind: 'fail', failure: found.failure }
  const { decisions, totals, clean, files } = found
  const ended = totals.good + totals.rejected + totals.duplicates + totals.conflicts
  if (totals.records !== parsed.good || ended !== totals.records)
    throw new Error(`validation lost records: ${JSON.stringify({ totals, parsed: parsed.good })}`)
  const rejected = totals.rejected + parsed.structuralRejects
  const failed = failsForRejects(facts.definition, {
    records: parsed.records,
    rejected,
    clean: totals.good,
  })
  const rejects = await writeRejectFiles(job, engine, parsed, {
    bad: files.bad,
    badCount: totals.rejected,
    duplicates: files.duplicates,
    good: files.good,
    duplicateCount: totals.duplicates,
    conflicts: files.conflicts,
    conflictCount: totals.conflicts,
    most: failed ? maxRejectsOfFailed(unpackedBytes(facts)) : undefined,
  })
  if (!failed && rejects.total !== rejected)
    throw new Error(`${rejected} records were rejected, but ${rejects.total} were written`)
  const kept = await Promise.all([
    storeArtifact(job, {
      path: clean,
      name: 'clean.parquet',
      mediaType: 'application/vnd.apache.parquet',
      downloadable: false,
    }),
    storeArtifact(job, { ...rejects.rejects, name: 'rejects.ndjson', mediaType: 'application/x-ndjson' }),
    storeArtifact(job, {
      ...rejects.duplicates,
      name: 'duplicates.ndjson',
      mediaType: 'application/x-ndjson',
    }),
    ...(rejects.conflicts
      ? [
          storeArtifact(job, {
            ...rejects.conflicts,
            name: 'conflicts.ndjson',
            mediaType: 'application/x-ndjson',
          }),
        ]
      : []),
  ])
  const keep = (tx: Parameters<typeof registerArtifacts>[0]) => registerArtifacts(tx, job, kept)
  const wide = facts.window ? undefined : tooWide(facts.definition, found.days, today())
  if (wide) {
    const text = await cellOfWindow(job, engine, wide.odd.line)
    return { kind: 'fail', failure: tooWideFailure(wide, facts.definition, text), keep }
  }
  const output: ValidateOutput = {
    clean: totals.good,
    rejected,
    ...(rejects.total < rejected ? { kept: rejects.total } : {}),
    duplicates: totals.duplicates,
    conflicts: totals.conflicts,
    ...(found.digest === undefined ? {} : { digest: found.digest }),
    days: found.days.map(({ scope, day, rows }) => ({ scope, day, rows })),
    reasons: rejects.reasons,
    decisions: storedDecisions(decisions),
    ...(found.outsideWindow > 0 && found.outsideWindow === found.onWindowEnd
      ? { onlyOnWindowEnd: found.onWindowEnd }
      : {}),
    cleaned: found.notes.cleaned,
    nullWords: found.notes.null_word,
    warnings: [
      ...decisionWarnings(decisions),
      ...timeWarnings(facts.definition, facts.window, found),
      ...found.notes.undeclared.map(undeclaredNullWord),
      ...conflictWarnings(facts.definition, found.conflicting),
    ],
  }
  job.context.logger.debug({ event: 'validate.parted', jobId: job.stageAttempt.jobId, folder, ...totals })
  return {
    kind: 'done',
    commit: async (tx) => {
      await keep(tx)
      return output
    },
  }
}

/**
 * Reads the tables of the dataset from the catalogue. Reads them for each import, because they can be altered or
 * dropped.
 * @throws RefusedError with every difference from the definition
 */
async function requireFittingTables({ context, facts }: StageJob): Promise<CatalogueTable[]> {
  const { definition } = facts
  const catalogue = await readCatalogue(context.pool, definition)
  const differences = checkFit(definition, catalogue)
  if (differences.length === 0) return catalogue
  throw new RefusedError({
    code: 'table_differs',
    detail: `The table does not match the definition of the dataset: ${differences.join('; ')}. Nothing was changed. Correct the table and retry the job, or change the definition and send the file again.`,
  })
}

async function inputOf(
  job: StageJob,
  parsed: ParseOutput,
  catalogue: readonly CatalogueTable[],
): Promise<ValidationInput> {
  const { facts, folder } = job
  const scope = {
    ...(facts.companies ? { companies: facts.companies } : {}),
    ...(facts.warehouses ? { warehouses: facts.warehouses } : {}),
  }
  return {
    parsed: await fetchArtifact(job, 'parsed.parquet'),
    columns: parsed.columns,
    ...(facts.window ? { window: facts.window } : {}),
    ...(facts.definition.scope ? { scope } : {}),
    members: await knownMembers(job, 'quarantine'),
    catalogue,
    zones: await zonesOf(job),
    folder,
  }
}

/** Surveys all cells, decides how to read the columns and divides the records, in one session of the engine. */
function partRecords(job: StageJob, engine: EngineTasks, parsed: ParseOutput, input: ValidationInput) {
  const { definition } = job.facts
  return engine.session(
    { workDir: job.folder },
    async (run) => {
      const survey = await surveyFile(run, definition, input)
      const evidence = await run(evidenceStatements(definition, input, survey), { until: 0.2 })
      const decisions = readDecisions(definition, evidence)
      const failure = contradictionFailure(decisions)
      if (failure) return { kind: 'contradiction' as const, failure }
      const result = await validateRecords(
        run,
        definition,
        { ...input, survey, decisions },
        rejectLimit(job, parsed),
      )
      return { kind: 'parted' as const, decisions, ...result }
    },
    {
      signal: job.signal,
      onProgress: ({ fraction }) =>
        job.report({
          fraction: fraction * 0.85,
          message: 'Checking the records',
          totalItems: parsed.records,
          processedItems: Math.round(parsed.records * fraction),
        }),
    },
  )
}

function rejectLimit({ facts }: StageJob, { records, structuralRejects }: ParseOutput): RejectLimit {
  return {
    keptOfFailed: MAX_REJECTS_OF_FAILED,
    fails: (rejected, validated) =>
      failsForRejects(facts.definition, {
        records,
        rejected: rejected + structuralRejects,
        clean: validated - rejected,
      }),
  }
}

function today(): Day {
  return new Date().toISOString().slice(0, 10)
}

/** Returns the window column's cell of the record in a line, as written in the file. */
async function cellOfWindow(job: StageJob, engine: EngineTasks, line: number): Promise<string | undefined> {
  const { windowColumn } = job.facts.definition
  if (windowColumn === undefined) return undefined
  const parsed = await fetchArtifact(job, 'parsed.parquet')
  const sql = `select ${quoteIdentifier(windowColumn)} as cell from read_parquet(${lit(parsed)}) where _line = ${line}`
  const answers = await engine.query(
    { workDir: job.folder, statements: [{ name: 'cell', sql, as: 'rows' }] },
    { signal: job.signal },
  )
  const [row] = z.array(z.object({ cell: z.string().nullable() })).parse(answers.cell?.rows ?? [])
  return row?.cell ?? undefined
}
