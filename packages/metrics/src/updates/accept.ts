import { type DayRange, NearDay } from '@aduana/contracts/dates'
import type { ProjectionUpdate } from '@aduana/contracts/metrics/events'
import { ProblemError } from '@aduana/contracts/problems'
import { type RegisteredDataset, readDataset } from '@aduana/datasets/registry'
import type { Tx } from '@aduana/db/database'
import { toMultirange } from '@aduana/metric-compute/expressions/multirange'
import { type LogEntry, logEvents } from '../runs/event-log.ts'
import type { ScheduledRuns } from '../runs/schedule.ts'
import { fanOutUpdates } from './fan-out.ts'

/** The result of an update from outside. */
export interface AcceptedUpdate extends Written {
  scheduled: ScheduledRuns
}

interface Written {
  updateId: string
  /** False when its event key exists; then nothing is done. */
  fresh: boolean
}

const EARLIEST = Date.parse('2000-01-01T00:00:00Z')
/** How far the clock of a sender may be ahead. */
const MAX_CLOCK_SKEW_MS = 5 * 60_000

/**
 * Accepts an update from outside and fans it out to the metrics, in the transaction of the caller.
 * @throws ProblemError `unknown_dataset`; `impossible_timestamp` for a time before 2000 or more than five minutes
 * ahead; `event_key_reused` when the key belongs to an update of another dataset
 */
export async function acceptProjectionUpdate(
  tx: Tx,
  update: ProjectionUpdate,
  now = new Date(),
): Promise<AcceptedUpdate> {
  const { written, scheduled } = await acceptProjectionUpdates(tx, [update], now)
  const [own] = written
  if (!own) throw new Error('an update was neither written nor known')
  return { ...own, scheduled }
}

/**
 * Accepts several updates of one dataset, in their order. If one is refused, all are. See `acceptProjectionUpdate`.
 */
export async function acceptProjectionUpdates(
  tx: Tx,
  updates: readonly ProjectionUpdate[],
  now = new Date(),
): Promise<{ written: Written[]; scheduled: ScheduledRuns }> {
  const [first] = updates
  const scheduled: ScheduledRuns = { requested: [], pending: [], merged: [], assigned: [] }
  if (!first) return { written: [], scheduled }
  const dataset = await readDataset(tx, first.dataset)
  for (const { occurredAt } of updates) assertPlausibleTimestamp(occurredAt, now)
  const rows = new Map<ProjectionUpdate, Written>()
  // Always in the order of the keys, so that transactions with the same keys cannot deadlock.
  for (const update of updates.toSorted(byKey)) rows.set(update, await insert(tx, dataset.id, update))
  const written = updates.flatMap((update) => rows.get(update) ?? [])
  const fresh = written.filter((row) => row.fresh).map(({ updateId }) => updateId)
  if (fresh.length === 0) return { written, scheduled }
  await logEvents(
    tx,
    updates.flatMap((update) => logged(dataset, update, rows.get(update))),
  )
  return { written, scheduled: await fanOutUpdates(tx, fresh) }
}

function byKey(a: ProjectionUpdate, b: ProjectionUpdate): number {
  return a.eventKey < b.eventKey ? -1 : Number(a.eventKey > b.eventKey)
}

function logged(
  { id: datasetId, code: dataset }: RegisteredDataset,
  { eventKey, occurredAt, days, rows }: ProjectionUpdate,
  written: Written | undefined,
): LogEntry[] {
  if (!written?.fresh) return []
  const { updateId } = written
  const when = { occurredAt: new Date(occurredAt).toISOString(), days, rows }
  return [
    {
      key: `${updateId}:accepted`,
      datasetId,
      event: { type: 'projection.accepted', dataset, updateId, eventKey, ...when },
    },
  ]
}

function assertPlausibleTimestamp(occurredAt: string, now: Date): void {
  const moment = Date.parse(occurredAt)
  if (moment >= EARLIEST && moment <= now.getTime() + MAX_CLOCK_SKEW_MS) return
  throw new ProblemError(
    'impossible_timestamp',
    `occurredAt is ${occurredAt}. It must be between the year 2000 and five minutes from now; the time is ${now.toISOString()}.`,
  )
}

async function insert(tx: Tx, datasetId: string, update: ProjectionUpdate): Promise<Written> {
  const { eventKey } = update
  const row = await tx
    .insertInto('dataset_updates')
    .values({
      dataset_id: datasetId,
      event_key: eventKey,
      occurred_at: update.occurredAt,
      days: toMultirange(update.days),
      companies: update.companies ?? null,
      warehouses: update.warehouses ?? null,
      rows: update.rows,
    })
    .onConflict((known) => known.column('event_key').doNothing())
    .returning('id')
    .executeTakeFirst()
  if (row) return { updateId: row.id, fresh: true }
  const known = await tx
    .selectFrom('dataset_updates')
    .select(['id', 'dataset_id'])
    .where('event_key', '=', eventKey)
    .executeTakeFirstOrThrow()
  if (known.dataset_id === datasetId) return { updateId: known.id, fresh: false }
  throw new ProblemError(
    'event_key_reused',
    `The event key "${update.eventKey}" was already used for an update of another dataset. Send a new key.`,
  )
}

/** Rejects an event with days outside 1900–2199. @throws ProblemError `bad_request` */
export function assertPlausibleDays({ days }: { days: readonly DayRange[] }): void {
  const far = days.find(({ from, to }) => ![from, to].every((day) => NearDay.safeParse(day).success))
  if (far)
    throw new ProblemError(
      'bad_request',
      `The days ${far.from} to ${far.to} are not between 1900 and 2199.`,
      { errors: [{ field: 'days', message: 'must be from 1900 to 2199' }] },
    )
}
