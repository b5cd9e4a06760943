import type { OutsideFiles } from '@aduana/artifacts/outside-files'
import type { ArtifactStore } from '@aduana/artifacts/store'
import type { Database } from '@aduana/db/database'
import type { Engine } from '@aduana/engine/engine'
import { type EngineTasks, orLarger } from '@aduana/engine/larger'
import type { ProgressPublisher } from '@aduana/queue/progress-channel'
import type { Logger } from '@aduana/runtime/logger'
import type pg from 'pg'

/** What every stage works with: one of each for a worker process. */
export interface PipelineContext {
  db: Database
  pool: pg.Pool
  store: ArtifactStore
  /**
   * One warm child for small files and one for large ones, so that a small file never waits behind a large one; the
   * latter is started with the first large file.
   */
  engines: { small: Engine; large: Engine }
  publisher: ProgressPublisher
  /** Files that lie elsewhere; undefined where the settings name no region. */
  outside: OutsideFiles | undefined
  logger: Logger
  /** Scratch folder of this process; a run's own folder is made inside it and removed afterwards. */
  workFolder: string
  /** Names this process in the stage log and in leases. */
  worker: string
  /** Bytes of a file once it is unpacked. */
  maxUnpackedBytes: number
}

/** Files up to this size go to the small engine. */
const SMALL_FILE_BYTES = 4 * 1024 * 1024

/** The engine for work on `bytes`: those of a file, and of the rows that it is compared with. */
export function engineFor({ engines }: PipelineContext, bytes: number): EngineTasks {
  return bytes <= SMALL_FILE_BYTES ? orLarger(engines.small, engines.large) : engines.large
}
