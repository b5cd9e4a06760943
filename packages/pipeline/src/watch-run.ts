import type { Database } from '@aduana/db/database'
import { beat } from '@aduana/jobs/heartbeat'
import type { ProgressReporter } from '@aduana/jobs/progress'
import type { StageRun } from '@aduana/jobs/stage-log'
import type { Logger } from '@aduana/runtime/logger'

/** Why a run was stopped from outside. */
export type StopReason = 'cancel' | 'overtaken' | 'process ends'

export interface RunWatch {
  /** Aborted when the run must stop. */
  signal: AbortSignal
  reason(): StopReason | undefined
  stop(): void
}

const BEAT_MS = 1000
const REPEAT_MS = 200

/**
 * The heartbeat of a run: once a second it says that the run is alive, stores the live figures, and stops the run when
 * somebody has asked to cancel or another run has taken its place. A database that does not answer is no reason to
 * stop; the commit will tell.
 */
export function watchRun(
  db: Database,
  run: StageRun,
  reporter: ProgressReporter,
  outer: AbortSignal,
  logger: Logger,
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

  const tick = async () => {
    try {
      const answer = await beat(db, run, reporter.figures())
      if (stopped) return
      if (answer !== 'go') abort(answer)
    } catch (error) {
      logger.warn({ event: 'stage.heartbeat_failed', jobId: run.jobId, stage: run.stage, err: error })
    }
    if (!stopped) timer = setTimeout(() => void tick(), BEAT_MS)
  }
  timer = setTimeout(() => void tick(), BEAT_MS)
  const repeating = setInterval(() => reporter.repeat(), REPEAT_MS)

  return {
    signal: controller.signal,
    reason: () => reason,
    stop: () => {
      stopped = true
      clearTimeout(timer)
      clearInterval(repeating)
      outer.removeEventListener('abort', onOuter)
    },
  }
}
