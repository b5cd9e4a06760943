import { nextDay } from '@aduana/contracts/dates'
import { inTransaction } from '@aduana/db/database'
import { appendEvent } from '@aduana/db/event-log'
import { closeRun, ensureCurrent } from '@aduana/jobs/stage-log'
import { changeJob } from '@aduana/jobs/transitions'
import { claimWindows, type Window, waitForWindows } from '@aduana/jobs/windows'
import { sql } from 'kysely'
import type { ImportFacts } from '../import-facts.ts'
import type { StageJob } from '../stage.ts'
import type { ValidateOutput } from '../stage-outputs.ts'

/**
 * The windows that a load needs: the declared one; else for each replace scope the range from the first to the last
 * accepted day; the whole dataset where there are no days.
 */
export function windowsOf(facts: ImportFacts, validated: ValidateOutput): Window[] {
  const [declaredScope = ''] = facts.scopes
  if (facts.window) return [{ scope: declaredScope, ...facts.window }]
  if (validated.days.length === 0) return [{ scope: '', from: null, to: null }]
  const scopes = [...new Set(validated.days.map(({ scope }) => scope))].sort()
  return scopes.flatMap((scope) => {
    const days = validated.days.filter((entry) => entry.scope === scope).map(({ day }) => day)
    const [from, last] = [days.sort()[0], days.at(-1)]
    return from === undefined || last === undefined ? [] : [{ scope, from, to: nextDay(last) }]
  })
}

/**
 * Claim the windows. When they are taken the job stands in line and gives back its worker: the dispatcher brings it
 * back within a second of the release.
 */
export function claimOrPark(job: StageJob, windows: readonly Window[]): Promise<boolean> {
  const { context, facts, run } = job
  const claim = { jobId: run.jobId, datasetId: facts.datasetId, windows }
  return inTransaction(context.db, async (tx) => {
    const result = await claimWindows(tx, claim)
    await sql`update imports set scopes = ${windows.map(({ scope }) => scope)}::text[],
      found_window = (select range_merge(range_agg(w)) from unnest(${windows.map(rangeText)}::daterange[]) as w)
      where job_id = ${run.jobId}`.execute(tx)
    await ensureCurrent(tx, run)
    if (result.kind === 'held') return true
    await waitForWindows(tx, claim)
    const version = await changeJob(
      tx,
      { jobId: run.jobId, attempt: run.attempt, from: ['PROCESSING'] },
      {
        waiting_for: 'window',
        message: `Waiting for the window that job ${result.by} holds`,
        eta_seconds: null,
      },
    )
    await closeRun(tx, run, 'lost', null)
    if (version !== undefined)
      await appendEvent(tx, {
        key: `${run.jobId}:waiting:${version}`,
        jobId: run.jobId,
        event: { type: 'job.waiting', reason: `window held by ${result.by}` },
      })
    return false
  })
}

function rangeText(window: Window): string {
  return `[${window.from ?? ''},${window.to ?? ''})`
}
