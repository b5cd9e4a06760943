import type { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { z } from 'zod'
import type { RunStatements } from '../statement.ts'
import { planValidation, type ValidationInput, type ValidationPlan } from './plan.ts'
import { Answers, type Conflicting, notesByKind, type ValidationResult } from './results.ts'
import { CONFLICTS_TABLE } from './uniqueness.ts'

/** If a file fails for its rejects, only the first ones are kept. */
export interface RejectLimit {
  /** Returns whether the file fails with this number of rejects from the validation. */
  fails(rejected: number, records: number): boolean
  keptOfFailed: number
}

/**
 * Runs the plan of a validation and returns its results. A part of the plan runs only if earlier counts require it. Throws a
 * ZodError if the engine returns unexpected results.
 */
export async function validateRecords(
  run: RunStatements,
  definition: DatasetDefinition,
  input: ValidationInput,
  limit?: RejectLimit,
): Promise<ValidationResult> {
  const plan = planValidation(definition, input)
  const { files } = plan
  const [{ records, good }] = Answers.counts.parse((await run(plan.good, { until: 0.7 })).counts?.rows)
  const { lost, conflicts } = await findLosers(run, plan)
  const conflicting =
    conflicts.lost + conflicts.rejected > 0 ? await compareConflicts(run, plan, conflicts) : undefined
  const rejected = records - good + conflicts.rejected
  const outside =
    rejected === 0
      ? undefined
      : await reportRejects(run, plan, { rejected, records, conflicting: conflicts.rejected > 0, limit })
  const { duplicates, kept } = lost ? await keepUnique(run, plan) : { duplicates: 0, kept: good }
  const clean = lost ? files.unique : files.good
  const results = Answers.results.parse(await run(plan.results(clean)))
  return {
    clean,
    files,
    totals: { records, good: kept, rejected, duplicates, conflicts: conflicts.lost },
    days: results.days?.rows ?? [],
    scopes: results.scopes?.rows ?? [],
    repeated: (results.repeated?.rows ?? []).filter(({ rows }) => rows > 0),
    outsideWindow: outside?.rows ?? 0,
    onWindowEnd: outside?.onEnd ?? 0,
    notes: notesByKind(results.notes?.rows ?? []),
    conflicting,
    digest: results.digest?.rows[0].digest ?? undefined,
  }
}

/** Runs the rounds of uniqueness. Returns `lost`: whether any good record is not loaded. */
async function findLosers(run: RunStatements, plan: ValidationPlan) {
  let lost = false
  for (const [index, { losers, conflicts }] of plan.rounds.entries()) {
    const answers = await run(losers, { until: 0.75 })
    const [{ rows }] = Answers.count.parse(answers[`lost-${index}`]?.rows)
    if (rows === 0) continue
    await run([...(lost ? [] : [CONFLICTS_TABLE]), ...conflicts], { until: 0.75 })
    lost = true
  }
  if (!lost) return { lost, conflicts: { lost: 0, rejected: 0 } }
  const answers = await run([plan.conflictCounts], { until: 0.75 })
  const [conflicts] = Answers.conflictCounts.parse(answers['conflict-counts']?.rows)
  return { lost, conflicts }
}

async function compareConflicts(
  run: RunStatements,
  plan: ValidationPlan,
  counts: { lost: number; rejected: number },
): Promise<Conflicting> {
  const answers = await run(plan.conflicts(), { until: 0.8 })
  const [example] = Answers.conflict.parse(answers.conflict?.rows)
  return { ...counts, ...example }
}

/** Writes the rejects. Returns how many of the reported ones are outside of the declared window. */
async function reportRejects(
  run: RunStatements,
  plan: ValidationPlan,
  {
    rejected,
    records,
    conflicting,
    limit,
  }: { rejected: number; records: number; conflicting: boolean; limit: RejectLimit | undefined },
) {
  const cut = limit && rejected > limit.keptOfFailed && limit.fails(rejected, records)
  const answers = await run(plan.rejects({ conflicting, most: cut ? limit.keptOfFailed : undefined }), {
    until: 0.9,
  })
  const [outside] = z.array(Answers.outsideWindow).parse(answers['outside-window']?.rows ?? [])
  return outside
}

async function keepUnique(run: RunStatements, plan: ValidationPlan) {
  const answers = await run(plan.unique(), { until: 0.95 })
  const [counts] = Answers.uniqueCounts.parse(answers['unique-counts']?.rows)
  return counts
}
