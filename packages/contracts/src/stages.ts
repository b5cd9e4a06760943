import { z } from 'zod'
import type { JobType } from './job-states.ts'

/** Payload of every stage job: identifiers only. The rows in PostgreSQL are the truth. */
export const StagePayload = z.strictObject({
  jobId: z.uuid(),
  attempt: z.int().positive(),
})
export type StagePayload = z.infer<typeof StagePayload>

/**
 * The five stages of an import, in the order in which they run.
 *
 * Everything that follows the order derives from this list: the BullMQ queues and the flow, the numbered folders of
 * the pipeline, Bull Board, the settings of concurrency, the share of the progress bar.
 *
 * `share` is the part of the whole progress bar (all shares add up to 100); `attempts` bounds the automatic retries
 * of what is transient; `concurrency` is the default number of jobs of this stage that one worker runs at once.
 */
export const STAGES = [
  { name: 'parse', title: 'Parse', share: 28, attempts: 8, concurrency: 2 },
  { name: 'validate', title: 'Validate', share: 24, attempts: 8, concurrency: 2 },
  { name: 'quarantine', title: 'Quarantine', share: 6, attempts: 8, concurrency: 2 },
  { name: 'load', title: 'Load', share: 40, attempts: 8, concurrency: 2 },
  { name: 'fan-out', title: 'Fan-out', share: 2, attempts: 20, concurrency: 4 },
] as const

export type StageName = (typeof STAGES)[number]['name']
export const STAGE_NAMES = STAGES.map((stage) => stage.name)
export const StageName = z.enum(['parse', 'validate', 'quarantine', 'load', 'fan-out'])

/** The stages that a job of a type runs, in order: taking an import back reads no file. */
export function stagesOf(type: JobType): readonly StageName[] {
  return type === 'undo' ? ['load', 'fan-out'] : STAGE_NAMES
}

/** Position of a stage in the flow, 0 for `parse`. */
export function stageIndex(name: StageName): number {
  return STAGES.findIndex((stage) => stage.name === name)
}

/** Name of the BullMQ queue that serves a stage, numbered so that sorted names keep the order of the flow. */
export function stageQueueName(name: StageName): string {
  return `${stageIndex(name) + 1}-${name}`
}

/**
 * Overall progress in per cent of a job that is at `fraction` (0…1) of `stage`.
 * Of the stages that jobs of its type run, those before count in full, those after not at all.
 */
export function overallProgress(name: StageName, fraction: number, type: JobType = 'import'): number {
  const stages = STAGES.filter((stage) => stagesOf(type).includes(stage.name))
  const share = (some: readonly (typeof STAGES)[number][]) =>
    some.reduce((sum, stage) => sum + stage.share, 0)
  const index = stages.findIndex((stage) => stage.name === name)
  const own = stages[index]?.share ?? 0
  const within = Math.min(1, Math.max(0, fraction))
  return Math.min(100, (100 * (share(stages.slice(0, Math.max(0, index))) + own * within)) / share(stages))
}
