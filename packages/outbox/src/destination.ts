import type { CloudEvent } from '@aduana/contracts/metrics/events'
import type { Tx } from '@aduana/db/database'

/** An event that leaves Aduana. */
export interface OutboundEvent {
  /** Its number in the log. Events are delivered in this order, unless a delivery fails. */
  id: string
  /** Identifies the event in every delivery, for deduplication. */
  key: string
  type: string
  body: CloudEvent
}

/**
 * Receives events. An event is sent once every destination that wants it has accepted it. If one fails, all of them
 * get the event again, so a destination gets an event at least once and must tolerate duplicates.
 */
export interface Destination {
  /** Its name in logs and errors. */
  name: string
  /** Returns whether the destination gets the event. */
  wants(event: OutboundEvent): boolean
  /**
   * Returns the events with their full bodies, for a destination that needs more than the log keeps. An event that is left
   * out is not sent and counts as failed.
   */
  expand?(tx: Tx, events: readonly OutboundEvent[]): Promise<readonly OutboundEvent[]>
  /**
   * Delivers events. Returns the errors of those that were not accepted, by id; rejects when none was. `signal`
   * aborts at the timeout. A destination that continues after that may deliver the same events as another process.
   */
  send(events: readonly OutboundEvent[], signal: AbortSignal): Promise<ReadonlyMap<string, Error>>
}
