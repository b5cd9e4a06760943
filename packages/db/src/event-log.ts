import type { DomainEvent } from '@aduana/contracts/events'
import type { Tx } from './database.ts'
import { jsonb } from './jsonb.ts'

export interface LoggedEvent {
  /** Unique key: an event is logged once, however often its transaction is retried. */
  key: string
  jobId?: string
  datasetId?: string
  event: DomainEvent
}

/** Appends an event to the log, in the transaction that causes it. Does nothing if the key exists. */
export async function appendEvent(tx: Tx, logged: LoggedEvent): Promise<void> {
  await tx
    .insertInto('event_log')
    .values({
      event_key: logged.key,
      type: logged.event.type,
      job_id: logged.jobId ?? null,
      dataset_id: logged.datasetId ?? null,
      body: jsonb(logged.event),
    })
    .onConflict((conflict) => conflict.column('event_key').doNothing())
    .execute()
}
