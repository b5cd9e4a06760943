import type { MetricDefinitionInput } from '@aduana/contracts/metrics/definition'
import { type Database, inTransaction } from '@aduana/db/database'
import { registerMetrics } from '../registry/metrics.ts'
import { registerSeries } from '../registry/series.ts'
import { DKT_METRICS } from './dkt.ts'
import { ORDERS_METRICS } from './orders.ts'
import { PRODUCTION_METRICS } from './production.ts'
import { SHIPPED_SERIES } from './series.ts'

/** The shipped metrics. */
export const SHIPPED_METRICS: readonly MetricDefinitionInput[] = [
  ...PRODUCTION_METRICS,
  ...ORDERS_METRICS,
  ...DKT_METRICS,
]

/** Registers the shipped series and metrics, whose datasets must exist. Repeating it changes nothing. */
export function registerShippedMetrics(db: Database): Promise<void> {
  return inTransaction(db, async (tx) => {
    await registerSeries(tx, SHIPPED_SERIES)
    await registerMetrics(tx, SHIPPED_METRICS)
  })
}
