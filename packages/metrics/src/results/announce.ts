import { DayRange } from '@aduana/contracts/dates'
import type { MetricRunCompleted } from '@aduana/contracts/metrics/events'
import type { AnnouncedManifest } from '@aduana/contracts/metrics/manifest'
import { REQUESTED_RUNS } from '@aduana/contracts/metrics/runs'
import type { Tx } from '@aduana/db/database'
import { jsonb } from '@aduana/db/jsonb'
import { acceptResults } from '@aduana/jobs/accept/accept-results'
import { unionOfDays } from '@aduana/metric-compute/expressions/days'
import { sql } from 'kysely'
import { z } from 'zod'
import { logEvents } from '../runs/event-log.ts'
import { changeRuns } from '../runs/transitions.ts'
import { readResultPlan } from './plan.ts'

/** A `completed` event whose values are in files. */
export type Announcement = Extract<MetricRunCompleted, { status: 'succeeded' }> & {
  manifest: NonNullable<Extract<MetricRunCompleted, { status: 'succeeded' }>['manifest']>
}

/** Returns whether the values of a completed run are in files. */
export function hasResultFiles(event: MetricRunCompleted): event is Announcement {
  return event.status === 'succeeded' && event.manifest !== undefined
}

/**
 * Starts the import of the results of a run: accepts a job in this transaction. The run is RUNNING until the job
 * ends. The caller holds the locks of the run and its metric, and has checked that it is open and in this attempt.
 */
export async function importResults(tx: Tx, event: Announcement): Promise<void> {
  const { runId, attempt, rowCount } = event
  const days = unionOfDays(event.days)
  const { metric, asOf, companies, warehouses } = await readResultPlan(tx, runId, days)
  const manifest: AnnouncedManifest = { ...event.manifest, runId, attempt, metric }
  const bounds = boundsOf(days)
  const announced: AnnouncedResults = { ...event.manifest, rowCount, days }
  const job = await acceptResults(tx, { manifest, rowCount, days: bounds, companies, warehouses })
  await changeRuns(tx, [{ id: runId, attempt }], REQUESTED_RUNS, {
    status: 'RUNNING',
    started_at: sql<Date>`coalesce(started_at, requested_at)`,
    retry_at: null,
    message: 'Importing its results',
    manifest: jsonb(announced),
    job_id: job,
  })
  await logEvents(tx, [
    {
      key: `${runId}:${attempt}:results`,
      event: {
        type: 'metric_run.results_announced',
        runId,
        metric,
        asOf,
        attempt,
        job,
        manifest: event.manifest,
      },
    },
  ])
}

function boundsOf(days: readonly DayRange[]): DayRange {
  const [from, to] = [days[0]?.from, days.at(-1)?.to]
  if (from === undefined || to === undefined) throw new Error('the announced results have no days')
  return { from, to }
}

/** What a run stores of the announcement of its results. */
export const AnnouncedResults = z.object({
  url: z.string(),
  sha256: z.string(),
  rowCount: z.int(),
  days: z.array(DayRange),
})
export type AnnouncedResults = z.infer<typeof AnnouncedResults>
