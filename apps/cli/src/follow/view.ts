import { isFinal } from '@aduana/contracts/job-states'
import type { Job } from '@aduana/contracts/jobs'
import type { ServerMessage } from '@aduana/contracts/progress'

/** A followed job: its last state and newer progress. */
export interface JobView {
  job: Job
  /** The newest sequence number; -1 when the state was polled, because a polled state has none. */
  seq: number
  stage: string | null
  message: string
  progress: number
  totalItems: number | null
  processedItems: number | null
  rowsPerSecond: number | null
  etaSeconds: number | null
}

/** Returns the view of a job in a state. */
export function viewOf(job: Job, seq = -1): JobView {
  const { stage, message, progress, totalItems, processedItems, rowsPerSecond, etaSeconds } = job
  return { job, seq, stage, message, progress, totalItems, processedItems, rowsPerSecond, etaSeconds }
}

/** Returns true if the job has ended. */
export function hasEnded(view: JobView): boolean {
  return isFinal(view.job.status)
}

/** Returns true if the job has ended or waits for approval. */
export function hasSettled(view: JobView): boolean {
  return hasEnded(view) || view.job.waitingFor === 'approval'
}

/** Returns the view after a message. Older messages change nothing. */
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

/** Returns the view after a poll, which is newer than all received messages but has no sequence number. */
export function withPolled(view: JobView, job: Job): JobView {
  return { ...forward(view, job), seq: view.seq }
}

function withState(view: JobView, job: Job, seq: number): JobView {
  if (seq < view.seq) return view
  return { ...forward(view, job), seq }
}

/** Polls and messages may arrive in any order: neither decreases the progress. */
function forward(view: JobView, job: Job): JobView {
  const fresh = viewOf(job)
  if (isFinal(job.status) || job.stage !== view.stage || job.progress >= view.progress) return fresh
  return { ...view, job }
}
