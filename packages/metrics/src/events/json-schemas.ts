import { DayRange } from '@aduana/contracts/dates'
import { CloudEvent, METRIC_EVENTS, type MetricEventType } from '@aduana/contracts/metrics/events'
import { Expression, RowCondition } from '@aduana/contracts/metrics/expression'
import { ResultManifest } from '@aduana/contracts/metrics/manifest'
import { z } from 'zod'

/** The folder of the published schemas. */
export const SCHEMAS_FOLDER = new URL('../../../../docs/events/', import.meta.url)

/** Parts that the schemas share, by their names in them. */
const SHARED = z
  .registry<{ id: string }>()
  .add(DayRange, { id: 'DayRange' })
  .add(Expression, { id: 'Expression' })
  .add(RowCondition, { id: 'RowCondition' })

const REQUESTED: MetricEventType = 'aduana.metric_run.requested'

/**
 * The complete message of each type: the envelope with its data. A request that is too large has `dataref` instead of
 * data.
 */
export const METRIC_MESSAGES = Object.entries(METRIC_EVENTS).map(([type, data]) => ({
  type,
  schema: CloudEvent.extend({ type: z.literal(type), data: type === REQUESTED ? data.optional() : data }),
}))

/** Returns a schema as JSON Schema, draft 2020-12. */
export function jsonSchemaOf(title: string, schema: z.ZodType) {
  const override = ({ jsonSchema }: { jsonSchema: { format?: string; pattern?: string } }) => {
    // The pattern repeats the format, less readably.
    if (jsonSchema.format !== undefined) delete jsonSchema.pattern
  }
  return { title, ...z.toJSONSchema(schema, { metadata: SHARED, override }) }
}

/** The published schemas by name: the messages, and the manifest of results. */
export const PUBLISHED: ReadonlyMap<string, z.ZodType> = new Map<string, z.ZodType>([
  ...METRIC_MESSAGES.map(({ type, schema }) => [type, schema] as const),
  ['result-manifest', ResultManifest],
])

/** Returns the published schemas as text, by file name. */
export function publishedSchemas(): Map<string, string> {
  const text = (name: string, schema: z.ZodType) =>
    `${JSON.stringify(jsonSchemaOf(name, schema), undefined, 2)}\n`
  return new Map([...PUBLISHED].map(([name, schema]) => [`${name}.json`, text(name, schema)]))
}
