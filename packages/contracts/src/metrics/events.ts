import { z } from 'zod'
import { Day, DayRange, Moment } from '../dates.ts'
import { StorableText } from '../text.ts'
import { Grain, RunnerKind } from './definition.ts'
import { Expression, MetricCode } from './expression.ts'
import { ManifestPointer } from './manifest.ts'

const Scopes = z.array(StorableText.min(1).max(100)).max(10_000)

/** What changed in a dataset: days, and companies and warehouses if the dataset has them (absent: all). */
const Change = {
  days: z.array(DayRange).max(10_000),
  companies: Scopes.optional(),
  warehouses: Scopes.optional(),
}

/** In: a dataset was changed outside Aduana. */
export const ProjectionUpdate = z.strictObject({
  eventKey: StorableText.min(1).max(200),
  dataset: StorableText.min(1).max(63),
  occurredAt: Moment,
  ...Change,
  rows: z.int().nonnegative(),
})
export type ProjectionUpdate = z.infer<typeof ProjectionUpdate>

/** Out: request to compute a metric for these days, from these updates and series. */
export const MetricRunRequest = z.strictObject({
  runId: z.uuid(),
  attempt: z.int().positive(),
  metric: MetricCode,
  version: z.int().positive(),
  runner: RunnerKind,
  /** The day, in UTC, of the change that caused it. */
  asOf: Day,
  ...Change,
  inputs: z.array(
    z.strictObject({
      dataset: z.string(),
      updateId: z.uuid(),
      eventKey: z.string(),
      occurredAt: Moment,
      days: z.array(DayRange),
    }),
  ),
  /** The series of the expression, and their tables. */
  catalogue: z.array(
    z.strictObject({
      series: MetricCode,
      dataset: z.string(),
      table: z.string(),
      /** Null: the rows. */
      column: z.string().nullable(),
      /** Of a column with surrogate ids: the table with `id` and code. */
      dimension: z.strictObject({ table: z.string(), key: z.string() }).optional(),
      dayColumn: z.string(),
      /** Of a day column with timestamps: the time zone of the days. */
      timeZone: z.string().optional(),
    }),
  ),
  grain: Grain,
  expression: Expression,
  /** Without a heartbeat for this time the run is TIMED_OUT. */
  heartbeatSeconds: z.int().positive(),
})
export type MetricRunRequest = z.infer<typeof MetricRunRequest>

const OfRun = { runId: z.uuid(), attempt: z.int().positive(), at: Moment }

/** In: a runner has started. */
export const MetricRunStarted = z.strictObject({ ...OfRun, runner: z.string().max(200) })
export type MetricRunStarted = z.infer<typeof MetricRunStarted>

/** In: a runner is alive. */
export const MetricRunHeartbeat = z.strictObject({
  ...OfRun,
  progress: z.number().min(0).max(1).optional(),
  message: z.string().max(500).optional(),
})
export type MetricRunHeartbeat = z.infer<typeof MetricRunHeartbeat>

/**
 * In: a runner is done. Without a manifest it has written the values itself. With one, Aduana imports the files that the
 * manifest lists, and the run succeeds when they are loaded.
 */
export const MetricRunCompleted = z.discriminatedUnion('status', [
  z
    .strictObject({
      ...OfRun,
      status: z.literal('succeeded'),
      /** Number of values that it has written, or that are in the files. */
      rowCount: z.int().nonnegative(),
      /** The days whose values it has written or deleted. Dependent metrics are computed for them next. */
      days: z.array(DayRange).max(10_000),
      manifest: ManifestPointer.optional(),
    })
    .refine(({ manifest, days }) => manifest === undefined || days.length > 0, {
      error: 'results require the days that they cover',
      path: ['days'],
    }),
  z.strictObject({
    ...OfRun,
    status: z.literal('failed'),
    error: z.strictObject({ code: z.string().min(1).max(100), detail: z.string().max(4000) }),
  }),
])
export type MetricRunCompleted = z.infer<typeof MetricRunCompleted>

/** The events of metrics by CloudEvents type. */
export const METRIC_EVENTS = {
  'aduana.projection.updated': ProjectionUpdate,
  'aduana.metric_run.requested': MetricRunRequest,
  'aduana.metric_run.started': MetricRunStarted,
  'aduana.metric_run.heartbeat': MetricRunHeartbeat,
  'aduana.metric_run.completed': MetricRunCompleted,
} as const
export type MetricEventType = keyof typeof METRIC_EVENTS

/** Type and data of an incoming event. */
export const IncomingEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('aduana.projection.updated'), data: ProjectionUpdate }),
  z.object({ type: z.literal('aduana.metric_run.started'), data: MetricRunStarted }),
  z.object({ type: z.literal('aduana.metric_run.heartbeat'), data: MetricRunHeartbeat }),
  z.object({ type: z.literal('aduana.metric_run.completed'), data: MetricRunCompleted }),
])
export type IncomingEvent = z.infer<typeof IncomingEvent>
export const INCOMING_TYPES: readonly string[] = IncomingEvent.options.map(({ shape }) => shape.type.value)

/** The envelope of every message, in both directions: CloudEvents 1.0, structured mode. */
export const CloudEvent = z.looseObject({
  specversion: z.literal('1.0'),
  id: z.string().min(1).max(200),
  source: z.string().min(1).max(500),
  type: z.string().min(1).max(100),
  time: Moment.optional(),
  datacontenttype: z.literal('application/json').optional(),
  /** Where to get data that is too large for a message (CloudEvents extension `dataref`). */
  dataref: z.string().max(500).optional(),
  data: z.unknown(),
})
export type CloudEvent = z.infer<typeof CloudEvent>
