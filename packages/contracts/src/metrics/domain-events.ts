import { z } from 'zod'
import { Day, DayRange } from '../dates.ts'
import { ManifestPointer } from './manifest.ts'
import { RunCause } from './runs.ts'

const OfRun = { runId: z.string(), metric: z.string(), asOf: Day }
const Failure = z.object({ code: z.string(), detail: z.string() })

/**
 * The domain events of metrics and runs. A requested run is logged as the request itself, which is sent by the outbox.
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
    /** Datasets without a recent update. If empty, the run waits for metrics that it depends on. */
    waitsFor: z.array(z.string()),
    expiresAt: z.string(),
  }),
  z.strictObject({
    type: z.literal('metric_run.started'),
    ...OfRun,
    attempt: z.int(),
    runner: z.string(),
  }),
  /** The runner is done; `job` imports the files with the values. */
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
