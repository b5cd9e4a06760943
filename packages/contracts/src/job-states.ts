import { z } from 'zod'

/** The states of a job that users see. The source documents' words: INICIADO, PROCESANDO, EXITO, FALLO, CANCELADO. */
export const JobStatus = z.enum(['QUEUED', 'PROCESSING', 'COMPLETED', 'FAILED', 'CANCELLED'])
export type JobStatus = z.infer<typeof JobStatus>

/** The allowed transitions. A state that is not a key of another's list cannot be reached from it. */
export const JOB_TRANSITIONS: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  QUEUED: ['PROCESSING', 'CANCELLED', 'FAILED'],
  PROCESSING: ['PROCESSING', 'COMPLETED', 'FAILED', 'CANCELLED'],
  COMPLETED: [],
  FAILED: ['QUEUED'],
  CANCELLED: [],
}

/** True when a job may go from `from` to `to`. */
export function canTransition(from: JobStatus, to: JobStatus): boolean {
  return JOB_TRANSITIONS[from].includes(to)
}

/** A final state: nothing happens to the job any more unless somebody asks for a retry. */
export function isFinal(status: JobStatus): boolean {
  return status === 'COMPLETED' || status === 'FAILED' || status === 'CANCELLED'
}

export const JobType = z.enum(['import', 'sync', 'replay', 'undo', 'export', 'integrity-check'])
export type JobType = z.infer<typeof JobType>

export const WaitingFor = z.enum(['window', 'approval', 'dependency'])
export type WaitingFor = z.infer<typeof WaitingFor>
