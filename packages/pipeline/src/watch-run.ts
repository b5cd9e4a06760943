import { recordHeartbeat } from '@aduana/jobs/stage-attempts/heartbeat'
import type { ProgressReporter } from '@aduana/jobs/stage-attempts/progress'
import type { StageAttempt } from '@aduana/jobs/stage-attempts/stage-attempts'
import type { PipelineContext } from './context.ts'

/** Why a stage attempt was stopped from outside. */
export type StopReason = 'cancel' | 'overtaken' | 'process ends'

export interface RunWatch {
  /** Aborted when the stage attempt must stop. */
  signal: AbortSignal
  reason(): StopReason | undefined
  stop(): void
}

const BEAT_MS = 1000
/** Interval at which new progress is stored and published. */
const NEWS_MS = 250

/**
 * Watches a stage attempt: at least once a second it writes a heartbeat, stores and publishes the progress, and stops
 * the attempt if a user has requested cancellation or another attempt has taken its place. Progress is stored before it
 * is published, so that the database is never behind a message. An unavailable database does not stop the attempt; its
 * commit decides.
 */
export function watchRun(
  { db, publisher, logger }: Pick<PipelineContext, 'db' | 'publisher' | 'logger'>,
  run: StageAttempt,
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
    const { answer, progress } = await recordHeartbeat(db, run, figures)
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
