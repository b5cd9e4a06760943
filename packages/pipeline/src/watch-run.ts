import { beat } from '@aduana/jobs/heartbeat'
import type { ProgressReporter } from '@aduana/jobs/progress'
import type { StageRun } from '@aduana/jobs/stage-log'
import type { PipelineContext } from './context.ts'

/** Why a run was stopped from outside. */
export type StopReason = 'cancel' | 'overtaken' | 'process ends'

export interface RunWatch {
  /** Aborted when the run must stop. */
  signal: AbortSignal
  reason(): StopReason | undefined
  stop(): void
}

const BEAT_MS = 1000
/** Interval at which new figures are stored and published. */
const NEWS_MS = 250

/**
 * Watches a run: at least once a second it records that the run is alive, stores the live figures and publishes them, and
 * stops the run when a user has asked to cancel or another run has taken its place. Nothing is published that is not
 * stored, so that no reader of the database is ever behind a message. A database that does not answer is no reason to
 * stop; the commit will tell.
 */
export function watchRun(
  { db, publisher, logger }: Pick<PipelineContext, 'db' | 'publisher' | 'logger'>,
  run: StageRun,
  reporter: ProgressReporter,
  outer: AbortSignal,
): RunWatch {
  const controller = new AbortController()
  let reason: StopReason | undefined
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  const abort = (why: StopReason) => {
    if (controller.signal.aborted) return
    reason = why
    controller.abort(new Error(why))
  }
  const onOuter = () => abort('process ends')
  if (outer.aborted) onOuter()
  outer.addEventListener('abort', onOuter)

  let stored = reporter.figures()
  let beatAt = performance.now()
  const isDue = () => reporter.figures() !== stored || performance.now() - beatAt >= BEAT_MS
  const store = async () => {
    const figures = reporter.figures()
    const { answer, progress } = await beat(db, run, figures)
    stored = figures
    beatAt = performance.now()
    if (stopped) return
    if (progress) publisher.publish(progress)
    if (answer !== 'go') abort(answer)
  }
  const look = async () => {
    let next = NEWS_MS
    try {
      if (isDue()) await store()
    } catch (error) {
      logger.warn({ event: 'stage.heartbeat_failed', jobId: run.jobId, stage: run.stage, err: error })
      next = BEAT_MS
    }
    if (!stopped) timer = setTimeout(() => void look(), next)
  }
  timer = setTimeout(() => void look(), NEWS_MS)

  return {
    signal: controller.signal,
    reason: () => reason,
    stop: () => {
      stopped = true
      clearTimeout(timer)
      outer.removeEventListener('abort', onOuter)
    },
  }
}
