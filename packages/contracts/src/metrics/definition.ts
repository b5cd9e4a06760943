import { z } from 'zod'
import { Identifier } from '../dataset-definition.ts'
import { Role } from '../identity.ts'
import { Expression, MetricCode } from './expression.ts'

const Title = z.strictObject({ en: z.string().min(1).max(200), es: z.string().min(1).max(200) })

/** A series: one column of a dataset, or its rows. Aggregates are computed over series. */
export const SeriesDefinition = z.strictObject({
  code: MetricCode,
  title: Title,
  dataset: Identifier,
  /** Null: the rows, which can only be counted. A column with a dimension yields codes. */
  column: Identifier.nullable(),
  unit: z.string().max(40).optional(),
})
export type SeriesDefinition = z.infer<typeof SeriesDefinition>

/** What a metric has one value for, besides the day. */
export const Grain = z.enum(['total', 'company', 'warehouse'])
export type Grain = z.infer<typeof Grain>

/** What computes a metric: the built-in runner, or an external one that consumes requests. */
export const RunnerKind = z.enum(['builtin', 'external'])

/** The definition of a metric. Its code never changes; any other change creates a version. */
export const MetricDefinition = z.strictObject({
  code: MetricCode,
  title: Title,
  description: z.string().max(2000).default(''),
  unit: z.string().max(40).optional(),
  /** `warehouse` means company and warehouse. Datasets without these columns require `total`. */
  grain: Grain.default('total'),
  expression: Expression,
  /** A run waits until every dataset it depends on has been updated within this many days. */
  requiredDays: z.int().positive().max(3660).default(7),
  /** Overrides `requiredDays` by dataset. */
  requiredDaysOf: z.record(Identifier, z.int().positive().max(3660)).default({}),
  runner: RunnerKind.default('builtin'),
  /** A requested run that has not started within this time is TIMED_OUT. */
  startSeconds: z.int().min(5).max(86_400).default(300),
  /** A running run without a heartbeat for this time is TIMED_OUT. */
  heartbeatSeconds: z.int().min(5).max(86_400).default(60),
  /** Dashboards that show it. */
  tabs: z.array(z.string().min(1).max(60)).default([]),
  role: Role.default('viewer'),
})
export type MetricDefinition = z.infer<typeof MetricDefinition>
/** A definition as its author writes it: fields with a default are optional. */
export type MetricDefinitionInput = z.input<typeof MetricDefinition>
