import type { MetricJobPayload } from '@aduana/contracts/metrics/queue'
import type { Database } from '@aduana/db/database'
import { failPoint } from '@aduana/runtime/fail-points'
import { startPollLoop } from '@aduana/runtime/poll-loop'
import { sql } from 'kysely'
import { type Claim, claimRuns, findLostRequest, findRequested } from './claim.ts'
import { computeClaim, type RunnerContext } from './compute-claim.ts'
import { createOutcomes, type Outcomes } from './outcomes.ts'
import { createSlots } from './slots.ts'

/** The built-in runner of one process. */
export interface Runner {
  /**
   * Computes the run of a job, and every run that can be computed together with it. A run that is already started or
   * ended needs no work. Returns the resulting state of the run.
   */
  handle(job: MetricJobPayload, signal: AbortSignal): Promise<string>
  /** Stops, and requeues the runs that are not completed. */
  stop(): Promise<void>
}

const POLL_MS = 2000

/**
 * Starts the runner, with up to `concurrency` computations at once. Besides the jobs that it gets, it polls
 * PostgreSQL every two seconds for runs whose job was lost.
 */
export function startRunner(context: RunnerContext & { concurrency: number }): Runner {
  const { db, logger, runner } = context
  const slots = createSlots(context.concurrency)
  const stopping = new AbortController()
  const outcomes = createOutcomes()
  let claims = 0

  /** Claims and computes a run with the runs that go with it. Returns how many were claimed. */
  const claimAndCompute = async (runId: string, signal: AbortSignal): Promise<number> => {
    claims += 1
    // Each claim has a runner name of its own, so that it can die while the process lives.
    const name = `${runner}.${claims}`
    const claim = await claimRuns(db, runId, name)
    const runs = claim.runs.length + claim.unreadable.length
    if (runs === 0) return 0
    logger.info({ event: 'metric_runner.claimed', runId, runs })
    await failPoint('metrics.after-claim')
    await computeClaim({ ...context, runner: name }, claim, signal)
    await rememberOutcomes(db, claim, outcomes)
    return runs
  }
  /** Does the same, then computes any requested run, so that dependents do not wait behind other jobs. */
  const computeWithDependents = async (runId: string, signal: AbortSignal): Promise<number> => {
    const claimed = await claimAndCompute(runId, signal)
    let next = claimed === 0 ? undefined : await findRequested(db)
    while (next !== undefined && !signal.aborted)
      next = (await claimAndCompute(next, signal)) === 0 ? undefined : await findRequested(db)
    return claimed
  }
  const pollLoop = startPollLoop({
    intervalMs: POLL_MS,
    poll: async (stopped) => {
      while (!stopped() && slots.free() > 0) {
        const runId = await findLostRequest(db)
        if (runId === undefined) return
        logger.info({ event: 'metric_runner.lost_request_found', runId })
        // A locked run is tried again in the next poll.
        if ((await slots.use(() => computeWithDependents(runId, stopping.signal))) === 0) return
      }
    },
    onError: (error) => {
      if (!stopping.signal.aborted) logger.error({ event: 'metric_runner.poll_failed', err: error })
    },
  })
  return {
    handle: async (job, signal) =>
      outcomes.take(job) ??
      slots.use(async () => {
        const either = AbortSignal.any([signal, stopping.signal])
        either.throwIfAborted()
        const state = await stateOf(context, job)
        if (state !== 'REQUESTED') return state
        await computeWithDependents(job.runId, either)
        return outcomes.take(job) ?? stateOf(context, job)
      }),
    stop: async () => {
      stopping.abort(new Error('the process is stopping'))
      await pollLoop.stop()
      await slots.idle()
    },
  }
}

/** Returns the state of a run in an attempt, or `overtaken` or `unknown`. */
async function stateOf({ db }: RunnerContext, job: MetricJobPayload): Promise<string> {
  const [state = 'unknown'] = (await statesOf(db, [job])).values()
  return state
}

/** Stores the outcomes of a claim, so that its later jobs need no query. */
async function rememberOutcomes(
  db: Database,
  { runs, unreadable }: Claim,
  outcomes: Outcomes,
): Promise<void> {
  for (const [attempt, state] of await statesOf(db, [...runs, ...unreadable]))
    if (state !== 'REQUESTED') outcomes.remember(attempt, state)
}

async function statesOf(
  db: Database,
  attempts: readonly MetricJobPayload[],
): Promise<Map<MetricJobPayload, string>> {
  const rows = await db
    .selectFrom('metric_runs')
    .select(['id', 'status', 'attempt'])
    .where(sql<boolean>`id = any (${attempts.map(({ runId }) => runId)}::uuid[])`)
    .execute()
  const byId = new Map(rows.map((row) => [row.id, row]))
  return new Map(
    attempts.flatMap((one) => {
      const row = byId.get(one.runId)
      return row ? [[one, row.attempt === one.attempt ? row.status : 'overtaken']] : []
    }),
  )
}
