import type { ArtifactStore } from '@aduana/artifacts/store'
import type { ProgressUpdate } from '@aduana/contracts/progress'
import type { Database } from '@aduana/db/database'
import type { Listener } from '@aduana/db/listen'
import type { createBoardQueues } from '@aduana/queue/board'
import type { QueueObserver } from '@aduana/queue/observer'
import type { ApiSettings } from '@aduana/runtime/config'
import type { Logger } from '@aduana/runtime/logger'

/** A subscription to live progress. */
export interface ProgressSource {
  healthy(): boolean
  close(): Promise<void>
}

/** The resources of the API. Their creator releases them. */
export interface ApiContext {
  settings: ApiSettings
  logger: Logger
  db: Database
  store: ArtifactStore
  /** Resolves when the schema of the database matches this program; otherwise rejects. */
  checkSchema(): Promise<void>
  /** Resolves when Redis responds. */
  pingRedis(): Promise<unknown>
  /** Resolves when Redis responds and does not evict keys. @throws RedisMisconfiguredError when it does */
  checkRedis(): Promise<void>
  /** Reads the state of the queues in Redis. @throws QueueUnavailableError */
  observeQueues: QueueObserver['observe']
  /** Subscribes to the progress of all jobs. */
  followProgress(onUpdate: (update: ProgressUpdate) => void): ProgressSource
  /** Subscribes to changes of users and sessions. Changes are missed while the connection is lost. */
  followSessions(onChange: () => void): Listener
  /** The queues that Bull Board shows. */
  board: ReturnType<typeof createBoardQueues>['adapters']
}
