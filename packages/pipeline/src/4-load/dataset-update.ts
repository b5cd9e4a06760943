import { randomUUID } from 'node:crypto'
import type { Day } from '@aduana/contracts/dates'
import type { Tx } from '@aduana/db/database'
import { appendEvent } from '@aduana/db/event-log'
import { sql } from 'kysely'
import type { StageJob } from '../stage.ts'

/** How a dataset changed. */
export interface DatasetChange {
  cause: 'load' | 'undo'
  days: readonly Day[]
  scopes: readonly string[]
  /** Null means unknown, which stands for all. */
  companies: readonly string[] | null
  warehouses: readonly string[] | null
  rows: number
}

/**
 * Records that a job changed its dataset, in the same transaction, for everything that depends on the dataset. Records
 * it once per job. Returns the id of the update.
 */
export async function writeUpdate(
  tx: Tx,
  { facts, stageAttempt }: StageJob,
  change: DatasetChange,
): Promise<string> {
  const { cause, days, scopes, companies, warehouses, rows } = change
  const updateId = randomUUID()
  const eventKey = `${stageAttempt.jobId}:${cause === 'load' ? 'loaded' : 'undone'}`
  await sql`insert into dataset_updates
      (id, dataset_id, job_id, event_key, days, companies, warehouses, scopes, rows, cause)
    values (${updateId}, ${facts.datasetId}, ${stageAttempt.jobId}, ${eventKey},
      coalesce((select range_agg(daterange(d, d + 1)) from unnest(${days}::date[]) d), '{}'::datemultirange),
      ${companies}::text[], ${warehouses}::text[], ${scopes}::text[], ${rows}, ${cause})`.execute(tx)
  await appendEvent(tx, {
    key: `${stageAttempt.jobId}:dataset-updated`,
    jobId: stageAttempt.jobId,
    datasetId: facts.datasetId,
    event: {
      type: 'dataset.updated',
      dataset: facts.definition.code,
      updateId,
      days: [...days],
      scopes: [...scopes],
      rows,
      cause,
    },
  })
  return updateId
}
