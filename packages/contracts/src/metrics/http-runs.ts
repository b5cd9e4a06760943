import { z } from 'zod'
import { Day, DayRange } from '../dates.ts'
import { MetricCode } from './expression.ts'
import { RunCause, RunStatus } from './runs.ts'

const Instant = z.iso.datetime()
const Failure = z.looseObject({ code: z.string(), detail: z.string() })

/**
 * A dataset that a run waits for, and the deadline. The deadline is null if the run includes companies or warehouses that you
 * may not see.
 */
export const AwaitedDataset = z.strictObject({ dataset: z.string(), until: Instant.nullable() })
export type AwaitedDataset = z.infer<typeof AwaitedDataset>

/** A run of a metric, or of one that it depends on, whose days are not up to date. */
export const OutstandingRun = z.strictObject({
  runId: z.uuid(),
  metric: MetricCode,
  status: RunStatus,
  /**
   * Includes days that changed while the run was with its runner; the next run computes them. Null if the run includes
   * companies or warehouses that you may not see: which of the days concern you is unknown.
   */
  days: z.array(DayRange).nullable(),
  /** Datasets that it waits for. If empty, a PENDING run waits for metrics that it depends on. */
  waitsFor: z.array(AwaitedDataset),
  expiresAt: Instant.nullable(),
  error: Failure.nullable(),
})
export type OutstandingRun = z.infer<typeof OutstandingRun>

/** Whether the values of a metric are up to date with the data, and what is outstanding. */
export const Completeness = z.strictObject({
  /** True if both lists are empty, and no metric that you may not see but that it depends on is outstanding. */
  complete: z.boolean(),
  /** Its runs, and runs of metrics that it depends on, that you may see. */
  outstanding: z.array(OutstandingRun),
  /** Changes of its datasets without runs yet: their jobs are about to complete. */
  notPassedOn: z.array(
    z.strictObject({
      updateId: z.uuid(),
      dataset: z.string(),
      /** Null if it includes companies or warehouses that you may not see. */
      days: z.array(DayRange).nullable(),
      occurredAt: Instant,
    }),
  ),
})
export type Completeness = z.infer<typeof Completeness>

/** The run that does the requested work. */
export const RunAccepted = z.strictObject({ id: z.uuid(), status: RunStatus })
export type RunAccepted = z.infer<typeof RunAccepted>

/**
 * A metric run. Companies and warehouses: null means all; otherwise those that you may see. If you may see only some, days,
 * counts, deadlines, message and error detail are omitted, because the part that concerns you is unknown, and `occurredAt`
 * and `asOf` are those of the first update that you may see. If you may see none, the run is listed only for its `nextDays`.
 */
export const MetricRun = z.strictObject({
  id: z.uuid(),
  metric: MetricCode,
  version: z.int(),
  status: RunStatus,
  cause: RunCause,
  occurredAt: Instant,
  asOf: Day,
  /** Null if it includes companies or warehouses that you may not see. */
  days: z.array(DayRange).nullable(),
  /** Days that changed while the run was with its runner; the next run computes them. Null as for `days`. */
  nextDays: z.array(DayRange).nullable(),
  companies: z.array(z.string()).nullable(),
  warehouses: z.array(z.string()).nullable(),
  attempt: z.int(),
  progress: z.number(),
  message: z.string(),
  runner: z.string().nullable(),
  rowCount: z.int().nullable(),
  /** The days whose values it has written. */
  outputDays: z.array(DayRange).nullable(),
  waitsFor: z.array(AwaitedDataset),
  error: Failure.nullable(),
  /** The later run that does the work of this one. */
  takenOverBy: z.uuid().nullable(),
  expiresAt: Instant.nullable(),
  requestedAt: Instant.nullable(),
  startedAt: Instant.nullable(),
  lastHeartbeatAt: Instant.nullable(),
  retryAt: Instant.nullable(),
  completedAt: Instant.nullable(),
  createdAt: Instant,
  updatedAt: Instant,
})
export type MetricRun = z.infer<typeof MetricRun>

/** A dataset update that a run is computed from. */
const RunInput = z.strictObject({
  updateId: z.uuid(),
  dataset: z.string(),
  eventKey: z.string(),
  occurredAt: Instant,
  /** Null, like `rows`, if it changed rows of companies or warehouses that you may not see. */
  days: z.array(DayRange).nullable(),
  rows: z.int().nullable(),
  /** It arrived while the run was with its runner; the next run uses it. */
  forNext: z.boolean(),
  /** The job that loaded it, if you may see it, and the file of an import. */
  job: z.strictObject({ id: z.uuid(), file: z.string().nullable() }).nullable(),
})
export type RunInput = z.infer<typeof RunInput>

/** A run with the updates that you may see, the datasets that it waited for, and the source of its results. */
export const MetricRunDetail = MetricRun.extend({
  inputs: z.array(RunInput),
  /**
   * The results that an external runner has announced, and the job that imports them, if you may see it. Null also if the
   * run includes companies or warehouses that you may not see.
   */
  results: z
    .strictObject({ url: z.string(), sha256: z.string(), rowCount: z.int(), job: z.uuid().nullable() })
    .nullable(),
  waited: z.array(
    z.strictObject({
      dataset: z.string(),
      requiredDays: z.int(),
      until: Instant.nullable(),
      /** The update that ended the wait, if you may see some of its companies and warehouses. */
      satisfiedBy: z.uuid().nullable(),
      satisfiedAt: Instant.nullable(),
    }),
  ),
})
export type MetricRunDetail = z.infer<typeof MetricRunDetail>

export const RunQuery = z.strictObject({
  status: RunStatus.optional(),
  metric: MetricCode.optional(),
  cursor: z.string().max(500).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
})
export type RunQuery = z.infer<typeof RunQuery>

/** An accepted dataset update. Sending it again returns the same one. */
export const ProjectionAccepted = z.strictObject({
  id: z.uuid(),
  dataset: z.string(),
  eventKey: z.string(),
})
export type ProjectionAccepted = z.infer<typeof ProjectionAccepted>
