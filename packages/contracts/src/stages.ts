import { z } from 'zod'
import type { JobType } from './job-states.ts'

/** Payload of every stage job: identifiers only. PostgreSQL is the source of truth. */
export const StagePayload = z.strictObject({
  jobId: z.uuid(),
  attempt: z.int().positive(),
})
export type StagePayload = z.infer<typeof StagePayload>

/**
 * The five stages of an import, in the order in which they run.
 *
 * Everything that depends on the order derives from this list: the BullMQ queues and the flow, the numbered folders of
 * the pipeline, Bull Board, the settings of concurrency, the share of the progress bar.
 *
 * `share` is the stage's part of the progress bar, in per cent; `attempts` is the maximum number of tries after transient
 * errors; `concurrency` is the default number of jobs of the stage that one worker runs at once.
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
export const StageName = z.enum(STAGE_NAMES)

/** The stages of each type of job. An undo reads no file. */
const STAGES_OF_TYPE: Readonly<Record<JobType, readonly StageName[]>> = {
  import: STAGE_NAMES,
  undo: ['load', 'fan-out'],
}

/** Returns the stages of a job of this type, in order. */
export function stagesOf(type: JobType): readonly StageName[] {
  return STAGES_OF_TYPE[type]
}

/** Returns the position of a stage in the flow, 0 for `parse`. */
export function stageIndex(name: StageName): number {
  return STAGES.findIndex((stage) => stage.name === name)
}

/** Returns the name of the BullMQ queue of a stage, numbered in the order of the flow. */
export function stageQueueName(name: StageName): string {
  return `${stageIndex(name) + 1}-${name}`
}

/**
 * Returns the overall progress, in per cent, of a job that is at `fraction` (0…1) of `stage`.
 * Earlier stages of its type count in full, later ones not at all.
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
