import type { CloudEvent } from '@aduana/contracts/metrics/events'
import type { Tx } from '@aduana/db/database'

/** An event that leaves the system. */
export interface OutboundEvent {
  /** Its number in the log: events are delivered in this order, as far as nothing fails. */
  id: string
  /** The same for every delivery of the event: what deduplicates goes by it. */
  key: string
  type: string
  body: CloudEvent
}

/**
 * Where events are delivered to. An event is sent once every destination that wants it has taken it; if one does not,
 * all of them get it again. So a destination gets an event at least once, and has to bear it twice.
 */
export interface Destination {
  /** For the log. */
  name: string
  wants(event: OutboundEvent): boolean
  /**
   * Returns the events with their full bodies, for a destination that needs more than the log keeps. An event that is left
   * out is not sent and counts as failed.
   */
  expand?(tx: Tx, events: readonly OutboundEvent[]): Promise<readonly OutboundEvent[]>
  /**
   * Deliver events, and resolve when they have been taken; answers the errors of those that have not, by id. Rejects when
   * none has. `signal` is aborted when it takes too long: whoever goes on delivers again what others deliver, too.
   */
  send(events: readonly OutboundEvent[], signal: AbortSignal): Promise<ReadonlyMap<string, Error>>
}
