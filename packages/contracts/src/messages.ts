import { z } from 'zod'

/** Why a message that came in over a queue can never be taken in, beside the codes of problems. */
export const MESSAGE_REFUSALS = {
  not_json: 'The message is not JSON',
  not_a_cloud_event: 'The message is not a CloudEvent',
  unknown_event_type: 'Events of this type are not accepted',
  invalid_event: 'The data of the event does not have the form of its type',
  unknown_run: 'There is no run with this id',
  not_external: 'The metric is computed by Aduana itself',
  unknown_attempt: 'The run has not been asked for that often',
} as const satisfies Record<string, string>
export type MessageRefusal = keyof typeof MESSAGE_REFUSALS

/** A message was refused for good. It is kept as it came; its queue hands it to the dead-letter queue. */
export const MessageRefused = z.strictObject({
  type: z.literal('message.refused'),
  queue: z.string(),
  messageId: z.string(),
  code: z.string(),
  detail: z.string(),
  /** The message as it came. */
  body: z.string(),
})
export type MessageRefused = z.infer<typeof MessageRefused>

/** A refused message as the API shows it. */
export const RefusedMessage = MessageRefused.omit({ type: true }).extend({ at: z.iso.datetime() })
export type RefusedMessage = z.infer<typeof RefusedMessage>

export const RefusedMessageQuery = z.strictObject({
  cursor: z.string().max(500).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
})
export type RefusedMessageQuery = z.infer<typeof RefusedMessageQuery>
