import type { Counts } from '@aduana/contracts/counts'
import { Job } from '@aduana/contracts/jobs'

export const JOB_ID = '6f1c2f3e-8d52-4c7e-9a4f-2d8f1f6f0a11'

/** A job as the API would show it; what is not given is as at its beginning. */
export function job(given: Partial<Omit<Job, 'counts'>> & { counts?: Partial<Counts> } = {}): Job {
  const counts = {
    records: null,
    loaded: null,
    inserted: null,
    updated: null,
    unchanged: null,
    removed: null,
    quarantined: null,
    duplicates: null,
    conflicts: null,
    ...given.counts,
  }
  return Job.parse({
    id: JOB_ID,
    type: 'import',
    status: 'QUEUED',
    stage: null,
    waitingFor: null,
    dryRun: false,
    progress: 0,
    message: 'Waiting to be processed',
    dataset: 'production',
    user: { id: '0b0d4b55-3f8e-4c0e-8f60-6c2b7f1d2a22', email: 'ana@example.com' },
    parameters: { fileName: 'mayo.csv' },
    rowsPerSecond: null,
    etaSeconds: null,
    error: null,
    attempts: [],
    parent: null,
    artifacts: [],
    totalItems: null,
    processedItems: null,
    result: null,
    warnings: [],
    batchDeleted: false,
    undoneBy: null,
    createdAt: '2026-01-02T03:04:05.000Z',
    startedAt: null,
    completedAt: null,
    updatedAt: '2026-01-02T03:04:05.000Z',
    ...given,
    counts,
  })
}
