import { z } from 'zod'
import { Day, daysBetween, Moment, NearDay } from '../dates.ts'
import { versionOf } from '../versions.ts'
import { Grain, MetricDefinition, RunnerKind, SeriesDefinition } from './definition.ts'
import { MetricCode } from './expression.ts'
import { AwaitedDataset, Completeness } from './http-runs.ts'
import { RunStatus } from './runs.ts'

const Instant = z.iso.datetime()
const Title = z.strictObject({ en: z.string(), es: z.string() })
const Limit = (usual: number, most: number) => z.coerce.number().int().min(1).max(most).default(usual)
const Cursor = z.string().max(500)
const Scope = z.string().min(1).max(100)

/** How values of several days or cells are aggregated. */
export const Aggregate = z.enum(['sum', 'avg', 'min', 'max', 'first', 'last'])
export type Aggregate = z.infer<typeof Aggregate>

/** A metric in a list. */
export const MetricItem = z.strictObject({
  code: MetricCode,
  version: z.int(),
  title: Title,
  description: z.string(),
  unit: z.string().nullable(),
  grain: Grain,
  /** Length of the longest chain of metrics that it depends on. */
  level: z.int(),
  runner: RunnerKind,
  tabs: z.array(z.string()),
  freshness: z.strictObject({
    /** The last day with a value that you may see. */
    lastDay: Day.nullable(),
    /** When the newest successful run that you may see ended, even if it changed no value. */
    computedAt: Instant.nullable(),
  }),
  /** The newest open run. */
  openRun: z.strictObject({ id: z.uuid(), status: RunStatus, waitsFor: z.array(AwaitedDataset) }).nullable(),
})
export type MetricItem = z.infer<typeof MetricItem>

/** A dataset that a metric depends on, directly or through other metrics. */
export const DatasetNeed = z.strictObject({
  dataset: z.string(),
  requiredDays: z.int(),
  /** When it last changed for companies and warehouses that you may see, by the updates received. */
  lastUpdate: Instant.nullable(),
  /** Whether it has been updated within the last `requiredDays`. */
  inTime: z.boolean(),
})

/** A metric in detail. */
export const Metric = MetricItem.omit({ freshness: true, openRun: true }).extend({
  /** Null if it uses metrics that you may not see. */
  definition: MetricDefinition.nullable(),
  /** How daily values are aggregated to longer periods; null if they cannot be. */
  rollUp: Aggregate.nullable(),
  dependencies: z.strictObject({
    datasets: z.array(DatasetNeed),
    /** Series and metrics that it uses directly, without metrics that you may not see. */
    series: z.array(z.string()),
    metrics: z.array(z.string()),
    /** Metrics that use it directly, without those that you may not see. */
    neededBy: z.array(z.string()),
  }),
  freshness: z.strictObject({
    firstDay: Day.nullable(),
    lastDay: Day.nullable(),
    /** Number of days with values. */
    days: z.int(),
    /** When a value was last written. */
    lastUpdated: Instant.nullable(),
    computedAt: Instant.nullable(),
    lastRun: z
      .strictObject({ id: z.uuid(), status: RunStatus, createdAt: Instant, completedAt: Instant.nullable() })
      .nullable(),
  }),
  completeness: Completeness,
  createdAt: Instant,
  updatedAt: Instant,
})
export type Metric = z.infer<typeof Metric>

export const MetricQuery = z.strictObject({
  tab: z.string().max(60).optional(),
  cursor: Cursor.optional(),
  limit: Limit(100, 500),
})
export type MetricQuery = z.infer<typeof MetricQuery>

/** The result of saving a definition. */
export const SavedMetric = z.strictObject({
  code: MetricCode,
  version: z.int(),
  /** False if the definition is unchanged. */
  changed: z.boolean(),
})

export const MetricVersion = versionOf(MetricDefinition)
export type MetricVersion = z.infer<typeof MetricVersion>

/** The current definition of a series, with its version. */
export const Series = SeriesDefinition.extend({ version: z.int() })
export type Series = z.infer<typeof Series>

export const SeriesVersion = versionOf(SeriesDefinition)
export type SeriesVersion = z.infer<typeof SeriesVersion>

/** One value of a metric. */
export const MetricValue = z.strictObject({
  date: Day,
  company: z.string().nullable(),
  warehouse: z.string().nullable(),
  /** A decimal number, exact. */
  value: z.string(),
  lastUpdated: Instant,
  runId: z.uuid().nullable(),
  /** The as-of day of the run, if you may see everything that the run includes. */
  asOf: Day.nullable(),
})
export type MetricValue = z.infer<typeof MetricValue>

export const ValueQuery = z.strictObject({
  from: NearDay.optional(),
  /** The first day after the range. */
  to: NearDay.optional(),
  company: Scope.optional(),
  warehouse: Scope.optional(),
  /** Only values that were written at this time or later. */
  updatedSince: Moment.optional(),
  cursor: Cursor.optional(),
  limit: Limit(1000, 10_000),
})
export type ValueQuery = z.infer<typeof ValueQuery>

/** Values ordered by day, company and warehouse. */
export const MetricValues = z.strictObject({
  metric: MetricCode,
  version: z.int(),
  unit: z.string().nullable(),
  grain: Grain,
  /** The time at which the values were read. */
  asOf: Instant,
  completeness: Completeness,
  items: z.array(MetricValue),
  next: z.string().nullable(),
})
export type MetricValues = z.infer<typeof MetricValues>

/** The dependency graph around a metric: datasets, series and metrics. */
export const Lineage = z.strictObject({
  nodes: z.array(
    z.strictObject({
      /** `metric:orders.items`, `series:orders.rows`, `dataset:orders` */
      id: z.string(),
      type: z.enum(['dataset', 'series', 'metric']),
      code: z.string(),
      title: Title,
      /** Of a metric. */
      level: z.int().nullable(),
      /** `itself`: the metric; `beneath`: a dependency; `above`: a dependent. */
      side: z.enum(['itself', 'beneath', 'above']),
    }),
  ),
  /** Data flows from `from` to `to`. */
  edges: z.array(z.strictObject({ from: z.string(), to: z.string() })),
})
export type Lineage = z.infer<typeof Lineage>

/** Maximum number of days of one recompute or chart request. */
export const MAX_DAYS_PER_REQUEST = 3660

export const RecomputeRequest = z
  .strictObject({ from: NearDay, to: NearDay })
  .refine(({ from, to }) => from < to && daysBetween(from, to) <= MAX_DAYS_PER_REQUEST, {
    error: `from must be before to, the first day after the range, by at most ${MAX_DAYS_PER_REQUEST} days`,
  })
export type RecomputeRequest = z.infer<typeof RecomputeRequest>

export const DailyMetricsQuery = z.strictObject({
  metric: MetricCode,
  /** See `resolveDateRange`. */
  date_range: z.string().max(40).default('last_30_days'),
  /** The time zone of today: an IANA name. */
  time_zone: z.string().max(60).default('UTC'),
  granularity: z.enum(['day', 'week', 'month']).default('day'),
  /** Overrides the metric's `rollUp`. */
  aggregate: Aggregate.optional(),
  /** One row for each cell, for each company, or for everything that you may see. */
  by: z.enum(['cell', 'company', 'total']).default('cell'),
  company: Scope.optional(),
  warehouse: Scope.optional(),
  cursor: Cursor.optional(),
  limit: Limit(1000, 10_000),
})
export type DailyMetricsQuery = z.infer<typeof DailyMetricsQuery>

/** Values for charts, as numbers, by day, ISO week or month. */
export const DailyMetrics = z.strictObject({
  metric: MetricCode,
  unit: z.string().nullable(),
  granularity: z.enum(['day', 'week', 'month']),
  /** The aggregate of several days or cells; null if values are not aggregated. */
  aggregate: Aggregate.nullable(),
  by: z.enum(['cell', 'company', 'total']),
  from: Day,
  /** The first day after the range. */
  to: Day,
  /** See `Completeness`. */
  complete: z.boolean(),
  items: z.array(
    z.strictObject({
      /** The day, or the first day of the week or month. */
      date: Day,
      company: z.string().nullable(),
      warehouse: z.string().nullable(),
      value: z.number(),
      /** Number of days with a value that it includes. */
      days: z.int(),
      lastUpdated: Instant,
    }),
  ),
  next: z.string().nullable(),
})
export type DailyMetrics = z.infer<typeof DailyMetrics>
