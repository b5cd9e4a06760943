import { RunnerKind } from '@aduana/contracts/metrics/definition'
import type { Destination } from '@aduana/outbox/destination'
import type { MetricQueue } from '@aduana/queue/metric-queue'
import { z } from 'zod'

const Request = z.object({
  runId: z.uuid(),
  attempt: z.int().positive(),
  metric: z.string(),
  runner: RunnerKind,
})

const NONE: ReadonlyMap<string, Error> = new Map()

/** Returns a destination that adds the requests of built-in metrics to the queue of the built-in runner. */
export function runnerQueue(queue: MetricQueue): Destination {
  return {
    name: 'runner queue',
    wants: ({ type, body }) =>
      type === 'aduana.metric_run.requested' && Request.parse(body.data).runner === 'builtin',
    send: async (events) => {
      await queue.add(
        events.map(({ body }) => {
          const { runId, attempt, metric } = Request.parse(body.data)
          return { runId, attempt, metric }
        }),
      )
      return NONE
    },
  }
}
