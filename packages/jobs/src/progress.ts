import { sequence } from '@aduana/contracts/progress'
import { overallProgress } from '@aduana/contracts/stages'
import type { ProgressPublisher } from '@aduana/queue/progress-channel'
import type { LiveFigures } from './heartbeat.ts'
import type { StageRun } from './stage-log.ts'

/** What a stage tells of itself while it works. */
export interface StageProgress {
  /** Part of the stage that is done, 0…1. */
  fraction: number
  message?: string
  totalItems?: number
  processedItems?: number
}

export interface ProgressReporter {
  /** Take note of how far the stage is; published at most four times a second. */
  report(progress: StageProgress): void
  /** Say again how far the stage is, when nothing was published for a while: who watches sees that it is alive. */
  repeat(): void
  /** The figures as they stand, for those who poll. */
  figures(): LiveFigures
}

const PUBLISH_EVERY_MS = 250
const REPEAT_AFTER_MS = 350

export interface ReporterOptions {
  run: StageRun
  userId: string
  publisher: ProgressPublisher
  /** When the job began, for the time that remains. */
  jobStartedAt: Date
  title: string
  now?: () => number
}

/** Follows one run of a stage. Messages are numbered from the version of the job; progress never goes backwards. */
export function createProgressReporter(options: ReporterOptions): ProgressReporter {
  const now = options.now ?? Date.now
  const { run } = options
  const startedAt = now()
  let tick = 0
  let publishedAt = 0
  let figures: LiveFigures = {
    progress: overallProgress(run.stage, 0, run.type),
    message: options.title,
    totalItems: null,
    processedItems: null,
    rowsPerSecond: null,
    etaSeconds: null,
  }
  const publish = (at: number) => {
    publishedAt = at
    tick += 1
    options.publisher.publish({
      jobId: run.jobId,
      userId: options.userId,
      seq: sequence(run.version, tick),
      stage: run.stage,
      ...figures,
    })
  }
  return {
    report: (progress) => {
      const at = now()
      const processed = progress.processedItems ?? figures.processedItems
      const overall = Math.max(figures.progress, overallProgress(run.stage, progress.fraction, run.type))
      figures = {
        progress: Math.round(overall * 100) / 100,
        message: progress.message ?? figures.message,
        totalItems: progress.totalItems ?? figures.totalItems,
        processedItems: processed,
        rowsPerSecond: rate(processed, at - startedAt),
        etaSeconds: remaining(overall, at - options.jobStartedAt.getTime()),
      }
      if (at - publishedAt >= PUBLISH_EVERY_MS || progress.fraction >= 1) publish(at)
    },
    repeat: () => {
      if (now() - publishedAt >= REPEAT_AFTER_MS) publish(now())
    },
    figures: () => figures,
  }
}

function rate(items: number | null, milliseconds: number): number | null {
  if (items === null || milliseconds < 100) return null
  return Math.round((items * 1000) / milliseconds)
}

function remaining(progress: number, milliseconds: number): number | null {
  if (progress < 2 || milliseconds < 500) return null
  return Math.max(0, Math.round(((100 - progress) * milliseconds) / progress / 1000))
}
