import { MetricRunRequest } from '@aduana/contracts/metrics/events'
import type { Tx } from '@aduana/db/database'
import { z } from 'zod'
import { readRunRequests } from '../runs/read-request.ts'
import type { OutboundEvent } from './destination.ts'

/** What the log keeps of a request that Aduana computes itself: whoever computes it reads the rest. */
export const RequestNote = z.strictObject(
  MetricRunRequest.pick({ runId: true, attempt: true, metric: true, runner: true }).shape,
)
export type RequestNote = z.infer<typeof RequestNote>

/**
 * Events with whole requests in place of notes, for those who publish them: as the runs stand now, in the attempts that
 * the notes name. An event whose run is gone is left out.
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
