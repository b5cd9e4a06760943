import type { Job } from '@aduana/contracts/jobs'
import { approveJob } from '@aduana/jobs/lifecycle/approve'
import { readJob } from '@aduana/jobs/read/jobs'
import type { InProcessSystem } from './in-process-system.ts'

/** Executes what is due, and returns a job that then waits for approval. @throws Error if it does not */
export async function waiting(system: InProcessSystem, id: string): Promise<Job> {
  await system.work()
  const job = await readJob(system.context.db, system.admin, id)
  if (job.waitingFor !== 'approval') throw new Error(`job ${id} does not wait: ${JSON.stringify(job)}`)
  return job
}

/** Approves a waiting job. */
export function approve({ context, admin }: InProcessSystem, id: string): Promise<Job> {
  return approveJob(context.db, admin, id, {})
}
