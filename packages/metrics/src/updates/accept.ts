import type { ProjectionUpdate } from '@aduana/contracts/metrics/events'
import { ProblemError } from '@aduana/contracts/problems'
import { readDataset } from '@aduana/datasets/registry'
import type { Tx } from '@aduana/db/database'
import { visible } from '@aduana/db/jsonb'
import { sql } from 'kysely'
import { toMultirange } from '../runs/days.ts'
import { logEvents } from '../runs/log.ts'
import type { Decided } from '../runs/settle.ts'
import { fanOut } from './fan-out.ts'

/** What became of an update from outside. */
export interface AcceptedUpdate {
  updateId: string
  /** False when its event key was there already: then nothing is done. */
  fresh: boolean
  decided: Decided
}

const EARLIEST = Date.parse('2000-01-01T00:00:00Z')
/** So far the clocks of others may be ahead of ours. */
const AHEAD_MS = 5 * 60_000

/**
 * Take in that somebody outside has changed a dataset, and pass it on to the metrics, in one transaction.
 * @throws ProblemError `unknown_dataset`; `impossible_timestamp` for a moment before 2000 or more than five minutes ahead;
 * `event_key_reused` when the key belongs to an update of another dataset
 */
export async function acceptProjectionUpdate(
  tx: Tx,
  update: ProjectionUpdate,
  now = new Date(),
): Promise<AcceptedUpdate> {
  const dataset = await readDataset(tx, update.dataset)
  refuseImpossible(update.occurredAt, now)
  const written = await insert(tx, dataset.id, update)
  if (!written.fresh) return { ...written, decided: { requested: [], pending: [], merged: [], taken: [] } }
  const { eventKey, rows, days } = update
  const occurredAt = new Date(update.occurredAt).toISOString()
  const { updateId } = written
  await logEvents(tx, [
    {
      key: `${updateId}:accepted`,
      datasetId: dataset.id,
      event: {
        type: 'projection.accepted',
        dataset: dataset.code,
        updateId,
        eventKey,
        occurredAt,
        days,
        rows,
      },
    },
  ])
  return { ...written, decided: await fanOut(tx, updateId) }
}

function refuseImpossible(occurredAt: string, now: Date): void {
  const moment = Date.parse(occurredAt)
  if (moment >= EARLIEST && moment <= now.getTime() + AHEAD_MS) return
  throw new ProblemError(
    'impossible_timestamp',
    `occurredAt is ${occurredAt}, and it is ${now.toISOString()} now. It must not be before 2000, nor more than five minutes ahead.`,
  )
}

async function insert(
  tx: Tx,
  datasetId: string,
  update: ProjectionUpdate,
): Promise<{ updateId: string; fresh: boolean }> {
  const eventKey = visible(update.eventKey)
  const inserted = await sql<{ id: string }>`insert into dataset_updates
      (dataset_id, event_key, occurred_at, days, companies, warehouses, rows)
    values (${datasetId}, ${eventKey}, ${update.occurredAt}::timestamptz, ${toMultirange(update.days)}::datemultirange,
      ${update.companies?.map(visible) ?? null}::text[], ${update.warehouses?.map(visible) ?? null}::text[], ${update.rows})
    on conflict (event_key) do nothing returning id`.execute(tx)
  const [row] = inserted.rows
  if (row) return { updateId: row.id, fresh: true }
  const known = await tx
    .selectFrom('dataset_updates')
    .select(['id', 'dataset_id'])
    .where('event_key', '=', eventKey)
    .executeTakeFirstOrThrow()
  if (known.dataset_id === datasetId) return { updateId: known.id, fresh: false }
  throw new ProblemError(
    'event_key_reused',
    `The event key "${update.eventKey}" was used for an update of another dataset.`,
  )
}
