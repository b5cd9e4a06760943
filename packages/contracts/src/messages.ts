import { z } from 'zod'

/** Why a queue message is refused permanently. The codes of problems are used as well. */
export const MESSAGE_REFUSALS = {
  not_json: 'The message is not JSON',
  not_a_cloud_event: 'The message is not a CloudEvent',
  unknown_event_type: 'The event type is not supported',
  invalid_event: 'The data of the event does not match its type',
  unknown_run: 'The run does not exist',
  not_external: 'The metric is computed by the built-in runner',
  unknown_attempt: 'The run has no such attempt',
} as const satisfies Record<string, string>
export type MessageRefusal = keyof typeof MESSAGE_REFUSALS

/** A message was refused permanently. It is kept unchanged; its queue moves it to the dead-letter queue. */
export const MessageRefused = z.strictObject({
  type: z.literal('message.refused'),
  queue: z.string(),
  messageId: z.string(),
  code: z.string(),
  detail: z.string(),
  /** The message, unchanged. */
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
