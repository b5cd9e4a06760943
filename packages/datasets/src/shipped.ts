import { DatasetDefinition } from '@aduana/contracts/dataset-definition'
import { checkDefinition } from './check.ts'
import { dkt } from './shipped/dkt.ts'
import { metricResults } from './shipped/metric-results.ts'
import { orders } from './shipped/orders.ts'
import { production } from './shipped/production.ts'

/** The definitions that come with the program. */
export const SHIPPED: readonly DatasetDefinition[] = [production, orders, dkt, metricResults]

/**
 * Reads a definition from JSON. Throws a ZodError when a part is malformed, an Error that lists every contradiction
 * when the parts do not fit together.
 */
export function parseDefinition(json: unknown): DatasetDefinition {
  const definition = DatasetDefinition.parse(json)
  const problems = checkDefinition(definition)
  if (problems.length > 0)
    throw new Error(`the definition "${definition.code}" contradicts itself: ${problems.join('; ')}`)
  return definition
}
