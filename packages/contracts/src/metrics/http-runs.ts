import { z } from 'zod'
import { Day, DayRange } from '../dates.ts'
import { MetricCode } from './expression.ts'
import { RunCause, RunStatus } from './runs.ts'

const Instant = z.iso.datetime()
const Failure = z.looseObject({ code: z.string(), detail: z.string() })

/**
 * A dataset that a run waits for, and until when it may come; null when the run is also about companies or warehouses that you
 * may not see.
 */
export const AwaitedDataset = z.strictObject({ dataset: z.string(), until: Instant.nullable() })
export type AwaitedDataset = z.infer<typeof AwaitedDataset>

/** A run of a metric, or of one beneath it, that has not brought the values of its days up to date. */
export const OutstandingRun = z.strictObject({
  runId: z.uuid(),
  metric: MetricCode,
  status: RunStatus,
  /**
   * Also those that changed while it was with its runner, which the run that follows it computes. Null when it is also
   * about companies or warehouses that you may not see: which of the days are yours is not known.
   */
  days: z.array(DayRange).nullable(),
  /** Datasets that it waits for; without any a PENDING one waits for metrics beneath it. */
  waitsFor: z.array(AwaitedDataset),
  expiresAt: Instant.nullable(),
  error: Failure.nullable(),
})
export type OutstandingRun = z.infer<typeof OutstandingRun>

/** Whether the values of a metric are those of the data, and what they lack. */
export const Completeness = z.strictObject({
  /** True when both lists are empty and nothing is outstanding of metrics for another role that it depends on. */
  complete: z.boolean(),
  /** Its runs, and runs of metrics that it depends on, that you may see. */
  outstanding: z.array(OutstandingRun),
  /** Changes of its datasets for which there are no runs yet: their jobs are about to complete. */
  notPassedOn: z.array(
    z.strictObject({
      updateId: z.uuid(),
      dataset: z.string(),
      /** Null when it is also about companies or warehouses that you may not see. */
      days: z.array(DayRange).nullable(),
      occurredAt: Instant,
    }),
  ),
})
export type Completeness = z.infer<typeof Completeness>

/** A run that does what was asked for. */
export const RunAccepted = z.strictObject({ id: z.uuid(), status: RunStatus })
export type RunAccepted = z.infer<typeof RunAccepted>

/**
 * A run of a metric. Companies and warehouses: null means all; otherwise those of them that you may see. If you may see
 * only some, days, figures, deadlines, message and the detail of its error are left out, because the part that is yours is not
 * known, and `occurredAt` and `asOf` are those of its first update that you may see. If you may see none, the run is listed
 * for its `nextDays` only, without anything about what it computes itself.
 */
export const MetricRun = z.strictObject({
  id: z.uuid(),
  metric: MetricCode,
  version: z.int(),
  status: RunStatus,
  cause: RunCause,
  occurredAt: Instant,
  asOf: Day,
  /** Null when it is also about companies or warehouses that you may not see. */
  days: z.array(DayRange).nullable(),
  /** Days that changed while it was with its runner: the run that follows it computes them. Null as for `days`. */
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
  /** The later run that does what this one has not. */
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
  /** Null, like `rows`, when it changed rows of companies or warehouses that you may not see. */
  days: z.array(DayRange).nullable(),
  rows: z.int().nullable(),
  /** It came while the run was with its runner: the run that follows is computed from it. */
  forNext: z.boolean(),
  /** The job whose load it was, if you may see that; and the file of an import. */
  job: z.strictObject({ id: z.uuid(), file: z.string().nullable() }).nullable(),
})
export type RunInput = z.infer<typeof RunInput>

/** A run with those of its updates that you may see, every dataset that it waited for, and where its results came from. */
export const MetricRunDetail = MetricRun.extend({
  inputs: z.array(RunInput),
  /**
   * The results that a runner outside has announced, and the job that imports them, if you may see it. Also null when the
   * run is about companies or warehouses that you may not see.
   */
  results: z
    .strictObject({ url: z.string(), sha256: z.string(), rowCount: z.int(), job: z.uuid().nullable() })
    .nullable(),
  waited: z.array(
    z.strictObject({
      dataset: z.string(),
      requiredDays: z.int(),
      until: Instant.nullable(),
      /** The update that came, if it is about companies and warehouses of which you may see some. */
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

/** An update of a dataset that somebody outside has told of. The same for whoever tells it again. */
export const ProjectionAccepted = z.strictObject({
  id: z.uuid(),
  dataset: z.string(),
  eventKey: z.string(),
})
export type ProjectionAccepted = z.infer<typeof ProjectionAccepted>
