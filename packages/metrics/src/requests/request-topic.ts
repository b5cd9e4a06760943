import { MetricCode } from '@aduana/contracts/metrics/expression'
import type { Topic, TopicMessage } from '@aduana/messaging/sns-topic'
import type { Destination, OutboundEvent } from '@aduana/outbox/destination'
import { z } from 'zod'
import { expandRequests } from './payload.ts'

/** What subscribers may filter by. */
const Request = z.object({
  runId: z.uuid(),
  metric: MetricCode,
  runner: z.enum(['builtin', 'external']),
  grain: z.string(),
  inputs: z.array(z.object({ dataset: z.string() })),
  catalogue: z.array(z.object({ dataset: z.string() })),
})

/** An event that is larger with its attributes leaves its data behind: SNS takes 256 KiB. */
const MAX_BYTES = 240 * 1024

/** A topic of SNS: it wants the requests of all runs, whoever computes them. */
export function requestTopic(topic: Topic): Destination {
  return {
    name: topic.arn,
    wants: ({ type }) => type === 'aduana.metric_run.requested',
    expand: expandRequests,
    send: (events, signal) => topic.publish(events.map(topicMessage), signal),
  }
}

/**
 * The message of a request: its CloudEvent. One that is too large names with `dataref` where its
 * data is to be had.
 */
export function topicMessage({ id, key, type, body }: OutboundEvent): TopicMessage {
  const { runId, metric, runner, grain, inputs, catalogue } = Request.parse(body.data)
  const whole = JSON.stringify(body)
  const { data: _, ...envelope } = body
  const datasets = [...new Set([...catalogue, ...inputs].map(({ dataset }) => dataset))].sort()
  const attributes = { type, metric, runner, grain, ...(datasets.length === 0 ? {} : { datasets }) }
  const fits = Buffer.byteLength(whole) + Buffer.byteLength(JSON.stringify(attributes)) <= MAX_BYTES
  return {
    id,
    body: fits ? whole : JSON.stringify({ ...envelope, dataref: `/api/runs/${runId}/request` }),
    attributes,
    group: metric,
    deduplicationId: key,
  }
}
