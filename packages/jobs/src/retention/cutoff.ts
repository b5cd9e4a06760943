import { type RawBuilder, sql } from 'kysely'

/** The age at which rows and files are removed. */
export interface Cutoff {
  /** Days of 24 hours. */
  days: number
  /** The time from which the days are counted back. */
  now: Date
}

/** Returns SQL of the time before which everything is older than the cutoff. */
export function cutoffOf({ days, now }: Cutoff): RawBuilder<Date> {
  return sql<Date>`(${now}::timestamptz - make_interval(hours => ${days * 24}))`
}
