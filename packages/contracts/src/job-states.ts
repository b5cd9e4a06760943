import { z } from 'zod'

/** The status of a job. The source documents use INICIADO, PROCESANDO, EXITO, FALLO, CANCELADO. */
export const JobStatus = z.enum(['QUEUED', 'PROCESSING', 'COMPLETED', 'FAILED', 'CANCELLED'])
export type JobStatus = z.infer<typeof JobStatus>

/** The allowed transitions: from each status to those in its list. */
export const JOB_TRANSITIONS: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  QUEUED: ['PROCESSING', 'CANCELLED', 'FAILED'],
  PROCESSING: ['PROCESSING', 'COMPLETED', 'FAILED', 'CANCELLED'],
  COMPLETED: [],
  FAILED: ['QUEUED'],
  CANCELLED: [],
}

/** Returns true if a job may change from `from` to `to`. */
export function canTransition(from: JobStatus, to: JobStatus): boolean {
  return JOB_TRANSITIONS[from].includes(to)
}

/** Returns true for a final status: the job does not change any more, unless it is retried. */
export function isFinal(status: JobStatus): boolean {
  return status === 'COMPLETED' || status === 'FAILED' || status === 'CANCELLED'
}

export const JobType = z.enum(['import', 'sync', 'replay', 'undo', 'export', 'integrity-check'])
export type JobType = z.infer<typeof JobType>

export const WaitingFor = z.enum(['window', 'approval', 'dependency'])
export type WaitingFor = z.infer<typeof WaitingFor>
