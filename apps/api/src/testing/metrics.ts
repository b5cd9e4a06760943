import { MetricRunCompleted } from '@aduana/contracts/metrics/events'
import { type Database, inTransaction } from '@aduana/db/database'
import { completeRun, startRun } from '@aduana/metrics/runs/runner-events'
import type { TestApi, TestUser } from './start-api.ts'

export const JSON_BODY = { 'content-type': 'application/json' }

/** A cell of a metric: the day, its company and its warehouse. */
export type Cell = readonly [date: string, company: string | null, warehouse: string | null, value: number]

/** Writes values as a runner does. `sums` marks them as combined from several companies and warehouses. */
export async function writeValues(
  db: Database,
  metric: string,
  cells: readonly Cell[],
  { runId = null, sums = false }: { runId?: string | null; sums?: boolean } = {},
): Promise<void> {
  await db
    .insertInto('daily_metrics')
    .values(
      cells.map(([date, company, warehouse, value]) => ({
        ...{ metric_name: metric, date, company, warehouse, value, run_id: runId },
        ...{ sums_companies: sums, sums_warehouses: sums },
      })),
    )
    .execute()
}

/** Limit a user to companies. */
export async function limitTo(api: TestApi, { userId }: TestUser, companies: string[]): Promise<void> {
  await api.db.updateTable('users').set({ companies }).where('id', '=', userId).execute()
}

/** Reports an update of a dataset as a steward does. */
export function tell(steward: TestUser, update: Record<string, unknown>): Promise<Response> {
  return steward.ask('/api/projections', {
    method: 'POST',
    headers: JSON_BODY,
    body: JSON.stringify({ occurredAt: new Date().toISOString(), rows: 1, ...update }),
  })
}

/** Starts a requested run as a runner does. */
export async function beginRun(db: Database, runId: string): Promise<void> {
  const event = { runId, attempt: await attemptOf(db, runId), at: new Date().toISOString() }
  await inTransaction(db, (tx) => startRun(tx, { ...event, runner: 'test' }))
}

/** Ends a run as a runner does: it has written nothing, or failed. */
export async function endRun(db: Database, runId: string, status: 'succeeded' | 'failed'): Promise<void> {
  const rest =
    status === 'failed'
      ? { error: { code: 'broken', detail: 'The runner fell over.' } }
      : { rowCount: 0, days: [] }
  const at = new Date().toISOString()
  const event = { runId, attempt: await attemptOf(db, runId), at, status, ...rest }
  await inTransaction(db, (tx) => completeRun(tx, MetricRunCompleted.parse(event)))
}

async function attemptOf(db: Database, runId: string): Promise<number> {
  const run = await db
    .selectFrom('metric_runs')
    .select('attempt')
    .where('id', '=', runId)
    .executeTakeFirstOrThrow()
  return run.attempt
}
