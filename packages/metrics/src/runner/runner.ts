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
   * Do what a job of the queue asks for: the run and whatever can be computed together with it. A run that somebody has
   * begun, or that has ended, needs nothing more. Answers the state in which the run is left.
   */
  handle(job: MetricJobPayload, signal: AbortSignal): Promise<string>
  /** Stop, and give back what is not done. */
  stop(): Promise<void>
}

const POLL_MS = 2000

/**
 * Start the runner: `concurrency` computations at once. Beside the jobs that it is handed it looks every two seconds for
 * runs whose job was lost: PostgreSQL is the truth.
 */
export function startRunner(context: RunnerContext & { concurrency: number }): Runner {
  const { db, logger, runner } = context
  const slots = createSlots(context.concurrency)
  const stopping = new AbortController()
  const outcomes = createOutcomes()
  let claims = 0

  /** Answers how many runs were begun. */
  const work = async (runId: string, signal: AbortSignal): Promise<number> => {
    claims += 1
    // A claim that is given up is a runner that is gone, whatever else this process does.
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
  /** The same, and then whatever is asked for: what it has made possible does not wait behind the jobs of what it has done. */
  const workOn = async (runId: string, signal: AbortSignal): Promise<number> => {
    const begun = await work(runId, signal)
    let next = begun === 0 ? undefined : await findRequested(db)
    while (next !== undefined && !signal.aborted)
      next = (await work(next, signal)) === 0 ? undefined : await findRequested(db)
    return begun
  }
  const rounds = startPollLoop({
    intervalMs: POLL_MS,
    poll: async (stopped) => {
      while (!stopped() && slots.free() > 0) {
        const runId = await findLostRequest(db)
        if (runId === undefined) return
        logger.info({ event: 'metric_runner.lost_request_found', runId })
        // One that somebody has locked is looked at again in the next round.
        if ((await slots.use(() => workOn(runId, stopping.signal))) === 0) return
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
        await workOn(job.runId, either)
        return outcomes.take(job) ?? stateOf(context, job)
      }),
    stop: async () => {
      stopping.abort(new Error('the process stops'))
      await rounds.stop()
      await slots.idle()
    },
  }
}

/** The state of a run in an attempt, or what has become of that attempt. */
async function stateOf({ db }: RunnerContext, job: MetricJobPayload): Promise<string> {
  const [state = 'unknown'] = (await statesOf(db, [job])).values()
  return state
}

/** Remember the outcomes of a claim, whose jobs come later: none of them needs to ask by itself. */
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
