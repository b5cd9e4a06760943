/** Milliseconds before a failed job of a queue is tried again: 500, doubled with each try, less up to half at random. */
export const RETRY_BACKOFF = { type: 'exponential', delay: 500, jitter: 0.5 } as const
