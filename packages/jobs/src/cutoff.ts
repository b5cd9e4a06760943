import { type RawBuilder, sql } from 'kysely'

/** How old something must be to go. */
export interface Cutoff {
  /** Days of 24 hours. */
  days: number
  /** The moment from which they are counted back. */
  now: Date
}

/** SQL: the moment before which something is older than that. */
export function cutoffOf({ days, now }: Cutoff): RawBuilder<Date> {
  return sql<Date>`(${now}::timestamptz - make_interval(hours => ${days * 24}))`
}
