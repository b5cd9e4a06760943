import { z } from 'zod'
import { Day, daysBetween, Moment, NearDay } from '../dates.ts'
import { versionOf } from '../versions.ts'
import { Grain, MetricDefinition, SeriesDefinition } from './definition.ts'
import { MetricCode } from './expression.ts'
import { AwaitedDataset, Completeness } from './http-runs.ts'
import { RunStatus } from './runs.ts'

const Instant = z.iso.datetime()
const Title = z.strictObject({ en: z.string(), es: z.string() })
const Limit = (usual: number, most: number) => z.coerce.number().int().min(1).max(most).default(usual)
const Cursor = z.string().max(500)
const Scope = z.string().min(1).max(100)

/** How daily values become one of a longer period, or those of several cells one. */
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
  /** The longest chain of metrics beneath it. */
  level: z.int(),
  runner: z.enum(['builtin', 'external']),
  tabs: z.array(z.string()),
  freshness: z.strictObject({
    /** The last day that has a value which you may see. */
    lastDay: Day.nullable(),
    /** When the newest successful run that you may see ended, whether or not it changed a value. */
    computedAt: Instant.nullable(),
  }),
  /** The newest run that has not ended. */
  openRun: z.strictObject({ id: z.uuid(), status: RunStatus, waitsFor: z.array(AwaitedDataset) }).nullable(),
})
export type MetricItem = z.infer<typeof MetricItem>

/** A dataset that a metric depends on, by itself or through other metrics. */
export const DatasetNeed = z.strictObject({
  dataset: z.string(),
  requiredDays: z.int(),
  /** When it last changed for companies and warehouses that you may see, by the updates received. */
  lastUpdate: Instant.nullable(),
  /** It has changed within `requiredDays` from now. */
  inTime: z.boolean(),
})

/** A metric with all that is known about it. */
export const Metric = MetricItem.omit({ freshness: true, openRun: true }).extend({
  /** Null when it names metrics that are for another role. */
  definition: MetricDefinition.nullable(),
  /** How its daily values make one of a longer period; null: it does not follow from them. */
  rollUp: Aggregate.nullable(),
  dependencies: z.strictObject({
    datasets: z.array(DatasetNeed),
    /** Series and metrics that it names itself; metrics that are for another role are left out. */
    series: z.array(z.string()),
    metrics: z.array(z.string()),
    /** Metrics that name it; those for another role are left out. */
    neededBy: z.array(z.string()),
  }),
  freshness: z.strictObject({
    firstDay: Day.nullable(),
    lastDay: Day.nullable(),
    /** Days with values. */
    days: z.int(),
    /** When a value of it was last written. */
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

/** What became of a definition that was saved. */
export const SavedMetric = z.strictObject({
  code: MetricCode,
  version: z.int(),
  /** False when it was so already. */
  changed: z.boolean(),
})

export const MetricVersion = versionOf(MetricDefinition)
export type MetricVersion = z.infer<typeof MetricVersion>

/** A series as it is now, and which version of it that is. */
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
  /** The day of the change for which the run was made, if you may see all that the run is about. */
  asOf: Day.nullable(),
})
export type MetricValue = z.infer<typeof MetricValue>

export const ValueQuery = z.strictObject({
  from: NearDay.optional(),
  /** The first day after the range. */
  to: NearDay.optional(),
  company: Scope.optional(),
  warehouse: Scope.optional(),
  /** Only values that were written at this moment or later. */
  updatedSince: Moment.optional(),
  cursor: Cursor.optional(),
  limit: Limit(1000, 10_000),
})
export type ValueQuery = z.infer<typeof ValueQuery>

/** Values in the order of days, companies and warehouses. */
export const MetricValues = z.strictObject({
  metric: MetricCode,
  version: z.int(),
  unit: z.string().nullable(),
  grain: Grain,
  /** The moment that the values are of. */
  asOf: Instant,
  completeness: Completeness,
  items: z.array(MetricValue),
  next: z.string().nullable(),
})
export type MetricValues = z.infer<typeof MetricValues>

/** Where a metric comes from and what is made of it: datasets, series, metrics, and what is computed from what. */
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
      /** Whether it is the metric itself, something that it is made of, or something made of it. */
      side: z.enum(['itself', 'beneath', 'above']),
    }),
  ),
  /** Data flows from `from` to `to`. */
  edges: z.array(z.strictObject({ from: z.string(), to: z.string() })),
})
export type Lineage = z.infer<typeof Lineage>

/** So many days are computed anew, or shown for charts, at once. */
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
  /** Whose today it is: an IANA name. */
  time_zone: z.string().max(60).default('UTC'),
  granularity: z.enum(['day', 'week', 'month']).default('day'),
  /** In place of the metric's own. */
  aggregate: Aggregate.optional(),
  /** One row for each cell of the metric, for each company, or for all that you may see. */
  by: z.enum(['cell', 'company', 'total']).default('cell'),
  company: Scope.optional(),
  warehouse: Scope.optional(),
  cursor: Cursor.optional(),
  limit: Limit(1000, 10_000),
})
export type DailyMetricsQuery = z.infer<typeof DailyMetricsQuery>

/** Values for charts: as numbers, by day, ISO week or month. */
export const DailyMetrics = z.strictObject({
  metric: MetricCode,
  unit: z.string().nullable(),
  granularity: z.enum(['day', 'week', 'month']),
  /** What made the values of several days or cells one; null where each is as it was computed. */
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
      /** Days of the range that have a value in it. */
      days: z.int(),
      lastUpdated: Instant,
    }),
  ),
  next: z.string().nullable(),
})
export type DailyMetrics = z.infer<typeof DailyMetrics>
