import { isFinal } from '@aduana/contracts/job-states'
import type { Job } from '@aduana/contracts/jobs'
import type { ServerMessage } from '@aduana/contracts/progress'

/** What is known of a job that is being followed: its last state and the figures that moved since. */
export interface JobView {
  job: Job
  /** The newest sequence number that was seen; -1 when the state was polled, which brings none. */
  seq: number
  stage: string | null
  message: string
  progress: number
  totalItems: number | null
  processedItems: number | null
  rowsPerSecond: number | null
  etaSeconds: number | null
}

/** The view of a job whose state is `job`. */
export function viewOf(job: Job, seq = -1): JobView {
  const { stage, message, progress, totalItems, processedItems, rowsPerSecond, etaSeconds } = job
  return { job, seq, stage, message, progress, totalItems, processedItems, rowsPerSecond, etaSeconds }
}

/** True when nothing more will happen to the job. */
export function hasEnded(view: JobView): boolean {
  return isFinal(view.job.status)
}

/** True when nothing more will happen to the job by itself: it has ended, or waits for a person. */
export function hasSettled(view: JobView): boolean {
  return hasEnded(view) || view.job.waitingFor === 'approval'
}

/** The view after a message about its job. What is older than what has been seen changes nothing. */
export function withMessage(view: JobView, message: ServerMessage): JobView {
  if (message.type === 'progress') {
    if (message.jobId !== view.job.id || message.seq <= view.seq || hasEnded(view)) return view
    const { type: _, jobId: __, ...figures } = message
    return { ...view, ...figures, progress: Math.max(view.progress, message.progress) }
  }
  if (message.type === 'state' || (message.type === 'snapshot' && message.topic === 'job'))
    return message.job.id === view.job.id ? withState(view, message.job, message.seq) : view
  return view
}

/** The view after the state has been asked for: newer than all messages that have been seen, but without a number. */
export function withPolled(view: JobView, job: Job): JobView {
  return { ...forward(view, job), seq: view.seq }
}

function withState(view: JobView, job: Job, seq: number): JobView {
  if (seq < view.seq) return view
  return { ...forward(view, job), seq }
}

/** An answer and a message may arrive in either order, and an answer has no number: neither makes progress go back. */
function forward(view: JobView, job: Job): JobView {
  const fresh = viewOf(job)
  if (isFinal(job.status) || job.stage !== view.stage || job.progress >= view.progress) return fresh
  return { ...view, job }
}
