import { inTransaction } from '@aduana/db/database'
import { retryRun } from '@aduana/metrics/runs/manual'
import type { TestSystem } from '@aduana/testkit/system'
import { DeadlineError, until } from '@aduana/testkit/until'
import { openMetricOracle } from '../metrics/oracle.ts'
import { isSettled } from '../metrics/settled.ts'

const SHOWN = 5

/**
 * Waits until the metrics have settled, and returns those with other values than plain SQL. Runs that failed because of
 * faults must be reported as failed, and are retried.
 */
export async function wrongMetrics(system: TestSystem, within: number): Promise<string[]> {
  const oracle = await openMetricOracle(system, ['shipped'])
  try {
    await until(() => isSettled(system.database.pool), { within, what: 'the metrics have settled' })
    const unreported = await oracle.unreported()
    if (unreported.length > 0) return describeMetrics('wrong and not reported as incomplete', unreported)
    if ((await retryFailed(system)) > 0)
      await until(() => isSettled(system.database.pool), { within, what: 'the metrics have settled again' })
    const different = (await oracle.differences()).map(
      ({ metric, date, expected, stored }) => `${metric} ${date} is ${stored}, not ${expected}`,
    )
    return describeMetrics('wrong', different)
  } catch (error) {
    if (error instanceof DeadlineError) return [`metrics: ${error.message}`]
    throw error
  } finally {
    await oracle.close()
  }
}

async function retryFailed({ database: { db, pool } }: TestSystem): Promise<number> {
  const { rows } = await pool.query<{ id: string }>(`select id from metric_runs where status = 'FAILED'`)
  for (const { id } of rows) await inTransaction(db, (tx) => retryRun(tx, id, null))
  return rows.length
}

function describeMetrics(what: string, metrics: readonly string[]): string[] {
  return metrics.length === 0
    ? []
    : [`metrics: ${metrics.length} ${what}: ${metrics.slice(0, SHOWN).join('; ')}`]
}
