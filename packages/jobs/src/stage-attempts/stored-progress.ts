import { ProgressUpdate, sequence } from '@aduana/contracts/progress'
import { type RawBuilder, sql } from 'kysely'
import { z } from 'zod'

/** The progress of a job as returned by `storedProgress`. Parsing it returns the message to publish. */
export const StoredProgress = ProgressUpdate.omit({ seq: true })
  .extend({ version: z.int(), tick: z.int() })
  .transform(({ version, tick, ...told }): ProgressUpdate => ({ ...told, seq: sequence(version, tick) }))

/** Returns SQL of the progress of a row of `jobs` as JSON. `table` is one of our own names or aliases, never input. */
export function storedProgress(table: string): RawBuilder<unknown> {
  const of = (column: string) => sql.ref(`${table}.${column}`)
  return sql`jsonb_build_object('jobId', ${of('id')}, 'userId', ${of('user_id')}, 'version', ${of('version')},
    'tick', ${of('progress_tick')}, 'stage', ${of('stage')}, 'progress', ${of('progress')}, 'message', ${of('message')},
    'totalItems', ${of('total_items')}, 'processedItems', ${of('processed_items')},
    'rowsPerSecond', ${of('rows_per_second')}, 'etaSeconds', ${of('eta_seconds')})`
}
