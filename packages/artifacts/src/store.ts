import type { Readable } from 'node:stream'

/** What was stored: its length and the SHA-256 of its bytes, in lower-case hex. */
export interface Stored {
  bytes: number
  sha256: string
}

/**
 * Why a store refused: `too_large` by the caller's limit, `full` no room, `read_only`, `missing` no such key, `damaged`
 * what was read is not what was stored, `refused` no permission or no such bucket, `unavailable` it may work later,
 * `foreign` the place belongs to another installation.
 */
export type StoreErrorCode =
  | 'too_large'
  | 'full'
  | 'read_only'
  | 'missing'
  | 'damaged'
  | 'refused'
  | 'unavailable'
  | 'foreign'

/** An error of a store with a stable code. */
export class StoreError extends Error {
  readonly code: StoreErrorCode
  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'StoreError'
    this.code = code
  }
}

/**
 * Immutable files by key. A key is written once and becomes visible only when it is complete; writing it again
 * replaces it atomically by equal content. Keys are paths of plain segments: `jobs/<id>/<stage>/<attempt>/<name>`.
 */
export interface ArtifactStore {
  /** Store a stream, hashing on the way. Nothing is left behind when the stream fails or passes `maxBytes`. */
  put(key: string, source: AsyncIterable<Uint8Array>, options?: { maxBytes?: number }): Promise<Stored>
  /** Store a finished local file, which the store may take over: the caller must not change it any more. */
  putFile(key: string, path: string): Promise<Stored>
  /** Read a stored file from its beginning. @throws StoreError `missing` */
  open(key: string): Promise<Readable>
  /**
   * Put a readable copy of a stored file at a local path (a link where that is possible). What comes over a network is
   * held against `expected`, bytes and SHA-256; what is linked, against its length.
   * @throws StoreError `missing`, `damaged`
   */
  fetch(key: string, path: string, expected?: Stored): Promise<void>
  /** Every stored file below a prefix of whole segments, in no particular order. */
  list(prefix: string): AsyncIterable<{ key: string; storedAt: Date }>
  /** Remove a key; one that is not there is no error. */
  remove(key: string): Promise<void>
}

const SEGMENT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/** Check a key: plain segments only, so that it can never leave the store. @throws Error */
export function checkKey(key: string): string {
  if (key.split('/').every((segment) => SEGMENT.test(segment))) return key
  throw new Error(`"${key}" is not a usable artifact key`)
}

/** The key of a file that a stage of a job leaves behind. */
export function artifactKey(jobId: string, stage: string, attempt: number | string, name: string): string {
  return checkKey(`jobs/${jobId}/${stage}/${attempt}/${name}`)
}

/** A store that belongs to this installation, and how to let go of it. */
export interface OpenStore {
  store: ArtifactStore
  close(): void
}
