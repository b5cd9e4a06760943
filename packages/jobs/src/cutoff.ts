import { type RawBuilder, sql } from 'kysely'

/** The age from which something is removed. */
export interface Cutoff {
  /** Days of 24 hours. */
  days: number
  /** The moment from which the days are counted back. */
  now: Date
}

/** SQL: the moment before which everything is older than the cutoff. */
export function cutoffOf({ days, now }: Cutoff): RawBuilder<Date> {
  return sql<Date>`(${now}::timestamptz - make_interval(hours => ${days * 24}))`
}
