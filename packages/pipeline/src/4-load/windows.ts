import { setTimeout as delay } from 'node:timers/promises'
import { inTransaction, type Tx } from '@aduana/db/database'
import { appendEvent } from '@aduana/db/event-log'
import { changeJob } from '@aduana/jobs/lifecycle/transitions'
import { closeAttempt, lockJobOfAttempt, type StageAttempt } from '@aduana/jobs/stage-attempts/stage-attempts'
import {
  claimWindows,
  type Obstacle,
  type Window,
  type WindowClaim,
  waitForWindows,
  wakeThoseBehind,
} from '@aduana/jobs/windows/windows'
import { sql } from 'kysely'
import type { ImportFacts, PipelineContext, StageJob } from '../stage.ts'

/** The parts of a stage job that a claim needs. */
type ClaimingJob = Pick<StageJob, 'stageAttempt' | 'signal'> & {
  context: Pick<PipelineContext, 'db'>
  facts: Pick<ImportFacts, 'datasetId'>
}

/** How long a load waits for earlier imports to determine their days, before it releases its worker. */
const CLAIM_TIMEOUT_MS = 400
const POLL_INTERVAL_MS = 40

/**
 * Claims the windows. If they are taken, the job becomes a waiter and releases its worker; the dispatcher admits it
 * again within a second of the release. It keeps its worker briefly only for imports that are about to know their days.
 */
export async function claimOrPark(job: ClaimingJob, windows: readonly Window[]): Promise<boolean> {
  const deadline = performance.now() + CLAIM_TIMEOUT_MS
  for (;;) {
    const answer = await claimOnce(job, windows, performance.now() < deadline)
    if (answer !== 'look-again') return answer === 'held'
    await delay(POLL_INTERVAL_MS, undefined, { signal: job.signal })
  }
}

function claimOnce(
  job: ClaimingJob,
  windows: readonly Window[],
  patient: boolean,
): Promise<'held' | 'parked' | 'look-again'> {
  const { context, facts, stageAttempt } = job
  return inTransaction(context.db, async (tx) => {
    const claim = { job: await lockJobOfAttempt(tx, stageAttempt), datasetId: facts.datasetId, windows }
    const result = await claimWindows(tx, claim)
    if (patient && result.kind === 'taken' && result.because === 'not-known-yet') return 'look-again'
    await sql`update imports set scopes = ${windows.map(({ scope }) => scope)}::text[],
      found_window = (select range_merge(range_agg(w)) from unnest(${windows.map(rangeText)}::daterange[]) as w)
      where job_id = ${stageAttempt.jobId}`.execute(tx)
    await wakeThoseBehind(tx, stageAttempt.jobId)
    if (result.kind === 'held') return 'held'
    await park(tx, stageAttempt, claim, result)
    return 'parked'
  })
}

async function park(
  tx: Tx,
  stageAttempt: StageAttempt,
  claim: WindowClaim,
  obstacle: Obstacle,
): Promise<void> {
  await waitForWindows(tx, claim, obstacle)
  const reason = `${WAITING[obstacle.because]} (job ${obstacle.by})`
  const version = await changeJob(
    tx,
    { jobId: stageAttempt.jobId, attempt: stageAttempt.attempt, from: ['PROCESSING'] },
    { waiting_for: 'window', message: `Waiting: ${reason}`, eta_seconds: null },
  )
  await closeAttempt(tx, stageAttempt, 'parked', null)
  await appendEvent(tx, {
    key: `${stageAttempt.jobId}:waiting:${version}`,
    jobId: stageAttempt.jobId,
    event: { type: 'job.waiting', reason },
  })
}

const WAITING: Readonly<Record<Obstacle['because'], string>> = {
  held: 'another job holds the window',
  'waited-for': 'an import that was accepted earlier waits for the window',
  'not-known-yet': 'an import that was accepted earlier is still reading its days',
}

function rangeText(window: Window): string {
  return `[${window.from ?? ''},${window.to ?? ''})`
}
