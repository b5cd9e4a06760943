import { z } from 'zod'
import { Job } from './jobs.ts'

/**
 * Sequence number of a message about a job: `version · 2^20 + tick`, both from the job's row. The version rises with each
 * guarded change of state, the tick each time that progress is stored. Progress is published after it is stored, so a
 * state that is read has at least the number of every earlier message.
 */
export const TICKS_PER_VERSION = 2 ** 20

/** Returns the sequence number of a job's row with this version and tick. */
export function sequence(version: number, tick: number): number {
  return version * TICKS_PER_VERSION + Math.min(tick, TICKS_PER_VERSION - 1)
}

/** Returns the version of the job to which a sequence number belongs. */
export function versionOf(seq: number): number {
  return Math.floor(seq / TICKS_PER_VERSION)
}

/** The progress of a job. Published on Redis and forwarded to the clients that are subscribed to the job. */
export const ProgressUpdate = z.strictObject({
  jobId: z.uuid(),
  userId: z.uuid(),
  seq: z.int().nonnegative(),
  stage: z.string().nullable(),
  progress: z.number().min(0).max(100),
  message: z.string(),
  totalItems: z.int().nullable(),
  processedItems: z.int().nullable(),
  rowsPerSecond: z.number().nullable(),
  etaSeconds: z.number().nullable(),
})
export type ProgressUpdate = z.infer<typeof ProgressUpdate>

/** What a client may send over the WebSocket. `after` is the last `seq` it has seen. */
export const ClientMessage = z.discriminatedUnion('type', [
  // A nested union, because the members of one union must differ in `type`.
  z.discriminatedUnion('topic', [
    z.strictObject({
      type: z.literal('subscribe'),
      topic: z.literal('job'),
      id: z.uuid(),
      after: z.int().optional(),
    }),
    z.strictObject({ type: z.literal('subscribe'), topic: z.literal('jobs'), after: z.int().optional() }),
  ]),
  z.strictObject({ type: z.literal('unsubscribe'), topic: z.enum(['job', 'jobs']), id: z.uuid().optional() }),
  z.strictObject({ type: z.literal('ping') }),
])
export type ClientMessage = z.infer<typeof ClientMessage>

/** What the server sends: first a snapshot, then changes with rising `seq` for each job. */
export const ServerMessage = z.discriminatedUnion('type', [
  z.discriminatedUnion('topic', [
    z.strictObject({ type: z.literal('snapshot'), topic: z.literal('job'), seq: z.int(), job: Job }),
    z.strictObject({ type: z.literal('snapshot'), topic: z.literal('jobs'), jobs: z.array(Job) }),
  ]),
  z.strictObject({ type: z.literal('progress'), ...ProgressUpdate.omit({ userId: true }).shape }),
  z.strictObject({ type: z.literal('state'), seq: z.int(), job: Job }),
  z.strictObject({
    type: z.literal('error'),
    code: z.string(),
    detail: z.string(),
    id: z.string().optional(),
  }),
  z.strictObject({ type: z.literal('pong') }),
  /** Sent at regular intervals, so that a client notices a dead connection. */
  z.strictObject({ type: z.literal('heartbeat') }),
])
export type ServerMessage = z.infer<typeof ServerMessage>
