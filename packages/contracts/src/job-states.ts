import { z } from 'zod'
import type { Transitions } from './transitions.ts'

/** The status of a job. The source documents use INICIADO, PROCESANDO, EXITO, FALLO, CANCELADO. */
export const JobStatus = z.enum(['QUEUED', 'PROCESSING', 'COMPLETED', 'FAILED', 'CANCELLED'])
export type JobStatus = z.infer<typeof JobStatus>

/** The allowed transitions: from each status to those in its list. */
export const JOB_TRANSITIONS: Transitions<JobStatus> = {
  QUEUED: ['PROCESSING', 'CANCELLED', 'FAILED'],
  PROCESSING: ['PROCESSING', 'COMPLETED', 'FAILED', 'CANCELLED'],
  COMPLETED: [],
  FAILED: ['QUEUED'],
  CANCELLED: [],
}

/** The statuses of an open job. */
export const OPEN_JOBS: readonly JobStatus[] = ['QUEUED', 'PROCESSING']

/** The final statuses of a job without an effect. */
export const UNSUCCESSFUL_JOBS: readonly JobStatus[] = ['FAILED', 'CANCELLED']

/** The final statuses. */
export const FINAL_JOBS: readonly JobStatus[] = ['COMPLETED', ...UNSUCCESSFUL_JOBS]

/** Returns true for a final status: the job does not change any more, unless it is retried. */
export function isFinal(status: JobStatus): boolean {
  return FINAL_JOBS.includes(status)
}

export const JobType = z.enum(['import', 'undo'])
export type JobType = z.infer<typeof JobType>

/** What a job that waits is waiting for. */
export const WaitingFor = z.enum(['window', 'approval'])
export type WaitingFor = z.infer<typeof WaitingFor>
