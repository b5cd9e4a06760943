import { overallProgress } from '@aduana/contracts/stages'
import type { LiveProgress } from './heartbeat.ts'
import type { StageAttempt } from './stage-attempts.ts'

/** The progress that a stage reports. */
export interface StageProgress {
  /** The completed fraction of the stage, 0 to 1. */
  fraction: number
  message?: string
  totalItems?: number
  processedItems?: number
}

export interface ProgressReporter {
  /** Records the progress of the stage. */
  report(progress: StageProgress): void
  /** Returns the current figures; the same object until something new is reported. */
  figures(): LiveProgress
}

export interface ReporterOptions {
  stageAttempt: Pick<StageAttempt, 'stage' | 'type'>
  /** Progress of the job in percent when the attempt began. An earlier attempt may have got further. */
  reached: number
  /** When the job started, to estimate the remaining time. */
  jobStartedAt: Date
  title: string
  now?: () => number
}

/** Creates a reporter for one stage attempt. Its progress is that of the whole job and never decreases. */
export function createProgressReporter(options: ReporterOptions): ProgressReporter {
  const now = options.now ?? Date.now
  const { stage, type } = options.stageAttempt
  const startedAt = now()
  let figures: LiveProgress = {
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
