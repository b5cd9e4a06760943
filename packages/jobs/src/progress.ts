import { overallProgress } from '@aduana/contracts/stages'
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
  /** Records how far the stage is. */
  report(progress: StageProgress): void
  /** Returns the current figures; the same object until something new is reported. */
  figures(): LiveFigures
}

export interface ReporterOptions {
  run: Pick<StageRun, 'stage' | 'type'>
  /** Percentage of the job when the run began: an earlier run may have come further. */
  reached: number
  /** When the job began, for the time that remains. */
  jobStartedAt: Date
  title: string
  now?: () => number
}

/** Follows one run of a stage. Progress is that of the whole job and never goes backwards. */
export function createProgressReporter(options: ReporterOptions): ProgressReporter {
  const now = options.now ?? Date.now
  const { stage, type } = options.run
  const startedAt = now()
  let figures: LiveFigures = {
    progress: Math.max(options.reached, overallProgress(stage, 0, type)),
    message: options.title,
    totalItems: null,
    processedItems: null,
    rowsPerSecond: null,
    etaSeconds: null,
  }
  return {
    report: (progress) => {
      const at = now()
      const processed = progress.processedItems ?? figures.processedItems
      const overall = Math.max(figures.progress, overallProgress(stage, progress.fraction, type))
      figures = {
        progress: Math.round(overall * 100) / 100,
        message: progress.message ?? figures.message,
        totalItems: progress.totalItems ?? figures.totalItems,
        processedItems: processed,
        rowsPerSecond: rate(processed, at - startedAt),
        etaSeconds: remaining(overall, at - options.jobStartedAt.getTime()),
      }
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
