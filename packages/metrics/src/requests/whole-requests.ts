import { MetricRunRequest } from '@aduana/contracts/metrics/events'
import type { Tx } from '@aduana/db/database'
import type { OutboundEvent } from '@aduana/outbox/destination'
import { z } from 'zod'
import { readRunRequests } from './payload.ts'

/** The part of a request to the built-in runner that the log keeps. The runner reads the rest from the run. */
export const RequestNote = z.strictObject(
  MetricRunRequest.pick({ runId: true, attempt: true, metric: true, runner: true }).shape,
)
export type RequestNote = z.infer<typeof RequestNote>

/**
 * Returns events with whole requests in place of notes, to be published: from the current runs, in the attempts that the
 * notes name. An event whose run is removed is left out.
 */
export async function wholeRequests(tx: Tx, events: readonly OutboundEvent[]): Promise<OutboundEvent[]> {
  const notes = new Map<string, RequestNote>()
  for (const { id, body } of events) {
    const note = RequestNote.safeParse(body.data)
    if (note.success) notes.set(id, note.data)
  }
  if (notes.size === 0) return [...events]
  const requests = await readRunRequests(tx, [...new Set([...notes.values()].map(({ runId }) => runId))])
  const byRun = new Map(requests.map((request) => [request.runId, request]))
  return events.flatMap((event) => {
    const note = notes.get(event.id)
    if (!note) return [event]
    const request = byRun.get(note.runId)
    return request ? [{ ...event, body: { ...event.body, data: { ...request, attempt: note.attempt } } }] : []
  })
}
