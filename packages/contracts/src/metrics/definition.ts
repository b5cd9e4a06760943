import { z } from 'zod'
import { Identifier } from '../dataset-definition.ts'
import { Role } from '../identity.ts'
import { Expression, MetricCode } from './expression.ts'

const Title = z.strictObject({ en: z.string().min(1).max(200), es: z.string().min(1).max(200) })

/** A series: one column of one dataset, or its rows themselves. What aggregates are made of. */
export const SeriesDefinition = z.strictObject({
  code: MetricCode,
  title: Title,
  dataset: Identifier,
  /** Null: the row itself, which can only be counted. A dimension's code column gives the codes. */
  column: Identifier.nullable(),
  unit: z.string().max(40).optional(),
})
export type SeriesDefinition = z.infer<typeof SeriesDefinition>

/** The cells in which a metric has values of its own, beside the day. */
export const Grain = z.enum(['total', 'company', 'warehouse'])
export type Grain = z.infer<typeof Grain>

/** A metric as it is declared. Its code never changes; every change of anything else is a new version. */
export const MetricDefinition = z.strictObject({
  code: MetricCode,
  title: Title,
  description: z.string().max(2000).default(''),
  unit: z.string().max(40).optional(),
  /** `warehouse` means company and warehouse. Datasets without these columns can only be used in `total`. */
  grain: Grain.default('total'),
  expression: Expression,
  /** A run waits until every dataset it depends on has had an update within so many days. */
  requiredDays: z.int().positive().max(3660).default(7),
  /** Datasets for which another number holds. */
  requiredDaysOf: z.record(Identifier, z.int().positive().max(3660)).default({}),
  /** Who computes it: Aduana, or somebody who listens to the requests. */
  runner: z.enum(['builtin', 'external']).default('builtin'),
  /** A run that nobody has begun for so long after it was asked for has timed out. */
  startSeconds: z.int().min(5).max(86_400).default(300),
  /** A run that gives no sign of life for so long after it began has timed out. */
  heartbeatSeconds: z.int().min(5).max(86_400).default(60),
  /** Dashboards that show it, and the least role that may see it there. */
  tabs: z.array(z.string().min(1).max(60)).default([]),
  role: Role.default('viewer'),
})
export type MetricDefinition = z.infer<typeof MetricDefinition>
/** A metric as an author writes it: what has a default may be left out. */
export type MetricDefinitionInput = z.input<typeof MetricDefinition>
