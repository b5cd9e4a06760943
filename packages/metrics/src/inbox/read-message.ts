import { problemText, readInput } from '@aduana/contracts/input-problems'
import type { MessageRefusal } from '@aduana/contracts/messages'
import { CloudEvent, INCOMING_TYPES, IncomingEvent } from '@aduana/contracts/metrics/events'

/** Why a message is refused permanently. */
export interface Refusal {
  code: string
  detail: string
}

/** Parses a message. Returns its event, a CloudEvent of one of the accepted types, or why it is refused. */
export function readMessage(text: string): { event: IncomingEvent } | { refusal: Refusal } {
  const json = parse(text)
  if (json === undefined)
    return refusal('not_json', 'The message is not JSON. Send a CloudEvent in structured JSON mode.')
  const envelope = readInput(CloudEvent, json.value)
  if (envelope.problems)
    return refusal(
      'not_a_cloud_event',
      `${problemText(envelope.problems, 'The message')} Send a CloudEvent 1.0.`,
    )
  const { type, data } = envelope.data
  if (!INCOMING_TYPES.includes(type))
    return refusal(
      'unknown_event_type',
      `The type is "${type}". Accepted types are ${INCOMING_TYPES.join(', ')}.`,
    )
  const event = readInput(IncomingEvent, { type, data })
  return event.problems
    ? refusal('invalid_event', `${type}: ${problemText(event.problems, 'The event')}`)
    : { event: event.data }
}

function parse(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

function refusal(code: MessageRefusal, detail: string): { refusal: Refusal } {
  return { refusal: { code, detail } }
}
