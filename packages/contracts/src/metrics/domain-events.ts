import { z } from 'zod'
import { Day, DayRange } from '../dates.ts'
import { ManifestPointer } from './manifest.ts'
import { RunCause } from './runs.ts'

const OfRun = { runId: z.string(), metric: z.string(), asOf: Day }
const Failure = z.object({ code: z.string(), detail: z.string() })

/**
 * What is decided about metrics and their runs. That a run was requested is in the log as the request itself, which
 * leaves the system.
 */
export const METRIC_DOMAIN_EVENTS = [
  z.strictObject({ type: z.literal('series.saved'), series: z.string(), version: z.int() }),
  z.strictObject({ type: z.literal('metric.saved'), metric: z.string(), version: z.int() }),
  z.strictObject({ type: z.literal('metric.retired'), metric: z.string() }),
  z.strictObject({
    type: z.literal('projection.accepted'),
    dataset: z.string(),
    updateId: z.string(),
    eventKey: z.string(),
    occurredAt: z.string(),
    days: z.array(DayRange),
    rows: z.int(),
  }),
  z.strictObject({
    type: z.literal('metric_run.pending'),
    ...OfRun,
    cause: RunCause,
    /** Datasets that have had no update in time; without any it waits for metrics beneath it. */
    waitsFor: z.array(z.string()),
    expiresAt: z.string(),
  }),
  z.strictObject({
    type: z.literal('metric_run.started'),
    ...OfRun,
    attempt: z.int(),
    runner: z.string(),
  }),
  /** The runner is done, and the files with the values are imported by `job`. */
  z.strictObject({
    type: z.literal('metric_run.results_announced'),
    ...OfRun,
    attempt: z.int(),
    job: z.string(),
    manifest: ManifestPointer,
  }),
  z.strictObject({
    type: z.literal('metric_run.succeeded'),
    ...OfRun,
    attempt: z.int(),
    rowCount: z.int(),
    days: z.array(DayRange),
  }),
  z.strictObject({ type: z.literal('metric_run.failed'), ...OfRun, attempt: z.int(), error: Failure }),
  z.strictObject({
    type: z.literal('metric_run.timed_out'),
    ...OfRun,
    attempt: z.int(),
    retryAt: z.string(),
  }),
  z.strictObject({ type: z.literal('metric_run.expired'), ...OfRun, waitedFor: z.array(z.string()) }),
  z.strictObject({ type: z.literal('metric_run.cancelled'), ...OfRun, by: z.string().nullable() }),
] as const
