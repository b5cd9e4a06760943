import { inTransaction } from '@aduana/db/database'
import { retryRun } from '@aduana/metrics/runs/manual'
import type { TestSystem } from '@aduana/testkit/system'
import { DeadlineError, until } from '@aduana/testkit/until'
import { openFreshness } from '../metrics/freshness.ts'
import { isSettled } from '../metrics/settled.ts'

const SHOWN = 5

/**
 * Wait until the metrics have followed the data, and answer what is wrong with them: those that have other values than
 * plain SQL. What the faults made fail says so, and is tried again.
 */
export async function wrongMetrics(system: TestSystem, within: number): Promise<string[]> {
  const freshness = await openFreshness(system, ['shipped'])
  try {
    await until(() => isSettled(system.database.pool), { within, what: 'the metrics have settled' })
    const silent = await freshness.unexplained()
    if (silent.length > 0) return told('not the value of the tables, without saying why', silent)
    if ((await retryFailed(system)) > 0)
      await until(() => isSettled(system.database.pool), { within, what: 'the metrics have settled again' })
    const different = (await freshness.differences()).map(
      ({ metric, date, wanted, stored }) => `${metric} ${date} is ${stored}, not ${wanted}`,
    )
    return told('not the value of the tables', different)
  } catch (error) {
    if (error instanceof DeadlineError) return [`metrics: ${error.message}`]
    throw error
  } finally {
    await freshness.close()
  }
}

async function retryFailed({ database: { db, pool } }: TestSystem): Promise<number> {
  const { rows } = await pool.query<{ id: string }>(`select id from metric_runs where status = 'FAILED'`)
  for (const { id } of rows) await inTransaction(db, (tx) => retryRun(tx, id, null))
  return rows.length
}

function told(what: string, places: readonly string[]): string[] {
  return places.length === 0
    ? []
    : [`metrics: ${what} ${places.length}: ${places.slice(0, SHOWN).join('; ')}`]
}
