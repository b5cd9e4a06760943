import { RunnerKind } from '@aduana/contracts/metrics/definition'
import { MetricCode } from '@aduana/contracts/metrics/expression'
import type { Topic, TopicMessage } from '@aduana/messaging/sns-topic'
import type { Destination, OutboundEvent } from '@aduana/outbox/destination'
import { z } from 'zod'
import { expandRequests } from './payload.ts'

/** What subscribers can filter by. */
const Request = z.object({
  runId: z.uuid(),
  metric: MetricCode,
  runner: RunnerKind,
  grain: z.string(),
  inputs: z.array(z.object({ dataset: z.string() })),
  catalogue: z.array(z.object({ dataset: z.string() })),
})

/** A larger event, with its attributes, is sent without its data. The limit of SNS is 256 KiB. */
const MAX_BYTES = 240 * 1024

/** Returns a destination that publishes the requests of all runs to an SNS topic. */
export function requestTopic(topic: Topic): Destination {
  return {
    name: topic.arn,
    wants: ({ type }) => type === 'aduana.metric_run.requested',
    expand: expandRequests,
    send: (events, signal) => topic.publish(events.map(topicMessage), signal),
  }
}

/**
 * Returns the message of a request: its CloudEvent. If that is too large, `dataref` names where its data can be read.
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
