import { admit, wakeWaiters } from '@aduana/jobs/dispatch/dispatch'
import { readJob } from '@aduana/jobs/read/jobs'
import { type Runner, startRunner } from '@aduana/metrics/runner/runner'
import type { FlowRequest } from '@aduana/queue/flow'
import { createInstallation, type ImportingSystem } from '@aduana/testkit/installation'
import type { PipelineContext } from '../stage.ts'
import { executeStage } from '../stage-attempt.ts'
import { PIPELINE } from '../stages.ts'
import { openContext } from './context.ts'

/** An installation that executes jobs in the process of the test. */
export interface InProcessSystem extends ImportingSystem {
  context: PipelineContext
  /**
   * Executes jobs, all that are due at once, and computes requested runs of metrics until none is due. Jobs that wait for
   * a window or for approval stay open.
   */
  work(): Promise<void>
}

/**
 * Creates an installation without a worker and without BullMQ: jobs are admitted as the dispatcher admits them, and their
 * stages are executed as a worker executes them. `finished` throws an error if the job cannot end.
 */
export async function createInProcessSystem(): Promise<InProcessSystem> {
  const installation = await createInstallation()
  const { context, close } = await openContext(installation)
  const { db } = context
  const runner = startRunner({ ...context, runner: context.worker, concurrency: 1 })
  // One at a time: a second caller finds what the first has left.
  let working: Promise<void> = Promise.resolve()
  const work = () => {
    const run = () => workOff(context, runner)
    // An error is that of the caller in whose turn it happened.
    working = working.then(run, run)
    return working
  }
  const finished = async (jobId: string) => {
    await work()
    const job = await readJob(db, installation.admin, jobId)
    if (job.completedAt === null)
      throw new Error(`job ${jobId} is ${job.status} and waits for ${job.waitingFor}: ${job.message}`)
    return job
  }
  return {
    ...installation,
    context,
    work,
    finished,
    import: async (content, form) => finished(await installation.accept(content, form)),
    close: async () => {
      await runner.stop()
      await close()
      await installation.close()
    },
  }
}

async function workOff(context: PipelineContext, runner: Runner): Promise<void> {
  for (;;) {
    await wakeWaiters(context.db)
    const flows = await admit(context.db, { maxActive: 100, maxActivePerTenant: 100 })
    await Promise.all(flows.map((flow) => deliver(context, flow)))
    const runs = await requestedRuns(context)
    for (const run of runs) await runner.handle(run, new AbortController().signal)
    if (flows.length + runs.length === 0) return
  }
}

function requestedRuns({ db }: PipelineContext): Promise<{ runId: string; attempt: number }[]> {
  return db
    .selectFrom('metric_runs')
    .select(['id as runId', 'attempt'])
    .where('status', '=', 'REQUESTED')
    .execute()
}

/** Executes the stages of an attempt until one does not end as done. */
async function deliver(context: PipelineContext, { jobId, attempt, stages }: FlowRequest): Promise<void> {
  const delivery = { signal: new AbortController().signal, lastTry: true }
  for (const stage of PIPELINE.filter(({ name }) => stages.includes(name))) {
    const outcome = await executeStage(context, stage, { jobId, attempt }, delivery)
    if (outcome.kind === 'snooze') throw new Error(`stage ${stage.name} of ${jobId}: ${outcome.reason}`)
    if (outcome.kind === 'retry') throw outcome.error
    if (outcome.kind !== 'done') return
  }
}
