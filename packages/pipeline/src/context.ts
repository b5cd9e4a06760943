import type { ExternalFiles } from '@aduana/artifacts/external-files'
import type { ArtifactStore } from '@aduana/artifacts/store'
import type { Database } from '@aduana/db/database'
import type { Engine } from '@aduana/engine/engine'
import { type EngineTasks, orLarger } from '@aduana/engine/larger'
import type { ProgressPublisher } from '@aduana/queue/progress-channel'
import type { Logger } from '@aduana/runtime/logger'
import type pg from 'pg'
import { type ImportFacts, unpackedBytes } from './import-facts.ts'

/** What every stage works with. A worker process has one. */
export interface PipelineContext {
  db: Database
  pool: pg.Pool
  store: ArtifactStore
  /**
   * One engine for small files and one for large ones, so that a small file never waits behind a large one. The latter
   * starts with the first large file.
   */
  engines: { small: Engine; large: Engine }
  publisher: ProgressPublisher
  /** Access to external files; undefined if the settings name no region. */
  outside: ExternalFiles | undefined
  logger: Logger
  /** Scratch folder of this process. Each stage attempt creates its own folder in it and removes it afterwards. */
  workFolder: string
  /** Identifies this process in the stage log and in leases. */
  worker: string
  /** Maximum size of an unpacked file. */
  maxUnpackedBytes: number
}

/** Limits of the engine for small files: unpacked bytes, and records or lines. */
export const SMALL_FILE = { bytes: 4 * 1024 * 1024, lines: 100_000 } as const

/**
 * Returns the engine for an import, chosen by its unpacked bytes, the bytes of the stored rows that it is compared
 * with, and its number of records.
 */
export function engineFor(
  context: PipelineContext,
  facts: Pick<ImportFacts, 'bytes' | 'unpackedBytes' | 'records'>,
  storedBytes = 0,
): EngineTasks {
  const bytes = unpackedBytes(facts) + storedBytes
  return engineOf(context, bytes <= SMALL_FILE.bytes && (facts.records ?? 0) <= SMALL_FILE.lines)
}

/** Returns the engine for small files, or the one for large files. */
export function engineOf({ engines }: PipelineContext, small: boolean): EngineTasks {
  return small ? orLarger(engines.small, engines.large) : engines.large
}
