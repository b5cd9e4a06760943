import type { ArtifactStore } from '@aduana/artifacts/store'
import type { ProgressUpdate } from '@aduana/contracts/progress'
import type { Database } from '@aduana/db/database'
import type { Listener } from '@aduana/db/listen'
import type { createBoardQueues } from '@aduana/queue/board'
import type { QueueObserver } from '@aduana/queue/observer'
import type { ApiSettings } from '@aduana/runtime/config'
import type { Logger } from '@aduana/runtime/logger'

/** The listening side of the live progress. */
export interface ProgressSource {
  healthy(): boolean
  close(): Promise<void>
}

/** All that the API works with. Whoever makes these things also releases them. */
export interface ApiContext {
  settings: ApiSettings
  logger: Logger
  db: Database
  store: ArtifactStore
  /** Resolves when the schema of the database is the one that this program knows. */
  checkSchema(): Promise<void>
  /** Resolves when Redis answers. */
  pingRedis(): Promise<unknown>
  /** Resolves when Redis answers and would lose no jobs. @throws RedisMisconfiguredError when it would */
  checkRedis(): Promise<void>
  /** Looks at the queues in Redis. @throws QueueUnavailableError */
  observeQueues: QueueObserver['observe']
  /** Starts to listen to the progress of all jobs. */
  followProgress(onUpdate: (update: ProgressUpdate) => void): ProgressSource
  /** Starts to listen to changes of users and sessions. A change can be missed while the connection is lost. */
  followSessions(onChange: () => void): Listener
  /** The queues that Bull Board shows. */
  board: ReturnType<typeof createBoardQueues>['adapters']
}
