import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { checkDefinition } from './check.ts'
import { dkt } from './shipped/dkt.ts'
import { metricResults } from './shipped/metric-results.ts'
import { orders } from './shipped/orders.ts'
import { production } from './shipped/production.ts'

/** The shipped definitions. */
export const SHIPPED: readonly DatasetDefinition[] = [production, orders, dkt, metricResults]

/**
 * Returns a definition read from JSON. Throws a ZodError if a part is malformed, and an Error that lists all
 * contradictions if parts do not fit together.
 */
export function parseDefinition(json: unknown): DatasetDefinition {
  const definition = DatasetDefinition.parse(json)
  const problems = checkDefinition(definition)
  if (problems.length > 0)
    throw new Error(`the definition "${definition.code}" contradicts itself: ${problems.join('; ')}`)
  return definition
}
