import { z } from 'zod'
import { Day, DayRange } from '../dates.ts'
import { MetricCode } from './expression.ts'
import { RunCause, RunStatus } from './runs.ts'

const Instant = z.iso.datetime()
const Failure = z.looseObject({ code: z.string(), detail: z.string() })

/** A dataset that a run waits for, and until when it may come. */
export const AwaitedDataset = z.strictObject({ dataset: z.string(), until: Instant })
export type AwaitedDataset = z.infer<typeof AwaitedDataset>

/** A run of a metric, or of one beneath it, that has not brought the values of its days up to date. */
export const OutstandingRun = z.strictObject({
  runId: z.uuid(),
  metric: MetricCode,
  status: RunStatus,
  /** Also those that changed while it was with its runner, which the run that follows it computes. */
  days: z.array(DayRange),
  /** Datasets that it waits for; without any a PENDING one waits for metrics beneath it. */
  waitsFor: z.array(AwaitedDataset),
  expiresAt: Instant.nullable(),
  error: Failure.nullable(),
})
export type OutstandingRun = z.infer<typeof OutstandingRun>

/** Whether the values of a metric are those of the data, and what they lack. */
export const Completeness = z.strictObject({
  /** There is nothing in either list. */
  complete: z.boolean(),
  outstanding: z.array(OutstandingRun),
  /** Changes of its datasets for which there are no runs yet: their jobs are about to complete. */
  notPassedOn: z.array(
    z.strictObject({ updateId: z.uuid(), dataset: z.string(), days: z.array(DayRange), occurredAt: Instant }),
  ),
})
export type Completeness = z.infer<typeof Completeness>

/** A run that does what was asked for. */
export const RunAccepted = z.strictObject({ id: z.uuid(), status: RunStatus })
export type RunAccepted = z.infer<typeof RunAccepted>

/**
 * A run of a metric. Companies and warehouses: null means all; otherwise those of them that you may see. If you may see
 * none, it is there for its `nextDays` only, and tells nothing of what it computes itself.
 */
export const MetricRun = z.strictObject({
  id: z.uuid(),
  metric: MetricCode,
  version: z.int(),
  status: RunStatus,
  cause: RunCause,
  occurredAt: Instant,
  asOf: Day,
  days: z.array(DayRange),
  /** Days that changed while it was with its runner: the run that follows it computes them. */
  nextDays: z.array(DayRange),
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
export const RunInput = z.strictObject({
  updateId: z.uuid(),
  dataset: z.string(),
  eventKey: z.string(),
  occurredAt: Instant,
  days: z.array(DayRange),
  /** Null when it changed rows of companies or warehouses that you may not see. */
  rows: z.int().nullable(),
  /** It came while the run was with its runner: the run that follows is computed from it. */
  forNext: z.boolean(),
  /** The job whose load it was, if you may see that; and the file of an import. */
  job: z.strictObject({ id: z.uuid(), file: z.string().nullable() }).nullable(),
})
export type RunInput = z.infer<typeof RunInput>

/** A run with what it is computed from, every dataset that it waited for, and where its results came from. */
export const MetricRunDetail = MetricRun.extend({
  inputs: z.array(RunInput),
  /** What a runner outside has announced, and the job that imports it. */
  results: z
    .strictObject({ url: z.string(), sha256: z.string(), rowCount: z.int(), job: z.uuid() })
    .nullable(),
  waited: z.array(
    z.strictObject({
      dataset: z.string(),
      requiredDays: z.int(),
      until: Instant,
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
