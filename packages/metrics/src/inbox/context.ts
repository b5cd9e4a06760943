import type { Database } from '@aduana/db/database'
import type { Logger } from '@aduana/runtime/logger'

/** What takes messages in. */
export interface InboxContext {
  db: Database
  logger: Logger
  /** Where the messages came from, for the log. */
  queue: string
}
