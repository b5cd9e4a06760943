import type { MetricJobPayload } from '@aduana/contracts/metrics/queue'
import { failPoint } from '@aduana/runtime/fail-points'
import { startRounds } from '../rounds.ts'
import { claimWith, findForgotten } from './claim.ts'
import { createSlots } from './slots.ts'
import { type RunnerContext, workOff } from './work.ts'

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

const LOOK_MS = 2000

/**
 * Start the runner: `concurrency` computations at once. Beside the jobs that it is handed it looks every two seconds for
 * runs whose job was lost: PostgreSQL is the truth.
 */
export function startRunner(context: RunnerContext & { concurrency: number }): Runner {
  const { db, logger, runner } = context
  const slots = createSlots(context.concurrency)
  const stopping = new AbortController()
  let claims = 0

  /** Answers how many runs were begun. */
  const work = async (runId: string, signal: AbortSignal): Promise<number> => {
    claims += 1
    // A claim that is given up is a runner that is gone, whatever else this process does.
    const name = `${runner}.${claims}`
    const claim = await claimWith(db, runId, name)
    const runs = claim.runs.length + claim.unreadable.length
    if (runs === 0) return 0
    logger.info({ event: 'metric_runner.claimed', runId, runs })
    await failPoint('metrics.after-claim')
    await workOff({ ...context, runner: name }, claim, signal)
    return runs
  }
  const rounds = startRounds({
    everyMs: LOOK_MS,
    round: async (stopped) => {
      while (!stopped() && slots.free() > 0) {
        const runId = await findForgotten(db)
        if (runId === undefined) return
        logger.info({ event: 'metric_runner.found_forgotten', runId })
        // One that somebody has locked is looked at again in the next round.
        if ((await slots.use(() => work(runId, stopping.signal))) === 0) return
      }
    },
    onError: (error) => {
      if (!stopping.signal.aborted) logger.error({ event: 'metric_runner.round_failed', err: error })
    },
  })
  return {
    handle: (job, signal) =>
      slots.use(async () => {
        const either = AbortSignal.any([signal, stopping.signal])
        either.throwIfAborted()
        const state = await stateOf(context, job)
        if (state !== 'REQUESTED') return state
        await work(job.runId, either)
        return stateOf(context, job)
      }),
    stop: async () => {
      stopping.abort(new Error('the process stops'))
      await rounds.stop()
      await slots.idle()
    },
  }
}

/** The state of a run in an attempt, or what has become of that attempt. */
async function stateOf({ db }: RunnerContext, { runId, attempt }: MetricJobPayload): Promise<string> {
  const row = await db
    .selectFrom('metric_runs')
    .select(['status', 'attempt'])
    .where('id', '=', runId)
    .executeTakeFirst()
  if (!row) return 'unknown'
  return row.attempt === attempt ? row.status : 'overtaken'
}
