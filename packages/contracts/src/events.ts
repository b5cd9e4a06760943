import { z } from 'zod'
import { Day } from './dates.ts'
import { MessageRefused } from './messages.ts'
import { METRIC_DOMAIN_EVENTS } from './metrics/domain-events.ts'

/** The domain events. Each is written to `event_log` in the transaction that causes it. */
export const DomainEvent = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('job.accepted'),
    dataset: z.string(),
    fileName: z.string(),
    bytes: z.int(),
  }),
  z.strictObject({
    type: z.literal('undo.accepted'),
    dataset: z.string(),
    import: z.string(),
    unwind: z.boolean(),
  }),
  z.strictObject({ type: z.literal('job.admitted'), attempt: z.int() }),
  z.strictObject({ type: z.literal('job.waiting'), reason: z.string() }),
  z.strictObject({ type: z.literal('job.approved'), basis: z.string(), by: z.string() }),
  /** The approved preview no longer holds: `jobs` have changed the dataset since. */
  z.strictObject({ type: z.literal('job.approval-lapsed'), basis: z.string(), jobs: z.array(z.string()) }),
  z.strictObject({ type: z.literal('job.completed'), counts: z.record(z.string(), z.int().nullable()) }),
  z.strictObject({ type: z.literal('job.failed'), code: z.string(), detail: z.string() }),
  z.strictObject({ type: z.literal('job.cancelled') }),
  z.strictObject({ type: z.literal('dataset.saved'), dataset: z.string(), version: z.int() }),
  z.strictObject({
    type: z.literal('dataset.updated'),
    dataset: z.string(),
    updateId: z.string(),
    days: z.array(Day),
    scopes: z.array(z.string()),
    rows: z.int(),
    cause: z.enum(['load', 'undo']),
  }),
  z.strictObject({
    type: z.literal('import.undone'),
    undoJob: z.string(),
    deleted: z.int(),
    restored: z.int(),
  }),
  MessageRefused,
  ...METRIC_DOMAIN_EVENTS,
])
export type DomainEvent = z.infer<typeof DomainEvent>
