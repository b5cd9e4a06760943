import { z } from 'zod'

/** Name of the BullMQ queue of the built-in runner; it sorts after the stages and the schedules. */
export const METRIC_QUEUE = '7-metrics'

/** Payload of its jobs: identifiers only. PostgreSQL is the source of truth. */
export const MetricJobPayload = z.strictObject({
  runId: z.uuid(),
  attempt: z.int().positive(),
})
export type MetricJobPayload = z.infer<typeof MetricJobPayload>
