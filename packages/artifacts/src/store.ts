import type { Readable } from 'node:stream'

/** A stored file: its length in bytes and its SHA-256 in lower-case hex. */
export interface Stored {
  bytes: number
  sha256: string
}

/**
 * Why a store operation failed: `too_large`: above the limit of the caller; `full`: no space; `read_only`; `missing`: the key
 * does not exist; `damaged`: the content differs from what was stored; `refused`: no permission or no bucket; `unavailable`: a
 * retry may succeed; `foreign`: the location belongs to another installation.
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
  /** Stores and hashes a stream. Nothing is kept if the stream fails or exceeds `maxBytes`. @throws StoreError */
  put(key: string, source: AsyncIterable<Uint8Array>, options?: { maxBytes?: number }): Promise<Stored>
  /** Stores a complete local file. The store may link it, so the caller must not change it afterwards. */
  putFile(key: string, path: string): Promise<Stored>
  /** Returns the content of a stored file. @throws StoreError `missing` */
  open(key: string): Promise<Readable>
  /**
   * Puts a readable copy of a stored file at a local path (a link if possible). A download is compared with the size and
   * SHA-256 of `expected`, a link with its size.
   * @throws StoreError `missing`, `damaged`
   */
  fetch(key: string, path: string, expected?: Stored): Promise<void>
  /** Yields all stored files below a prefix of whole segments, in no particular order. */
  list(prefix: string): AsyncIterable<{ key: string; storedAt: Date }>
  /** Removes a key, if it exists. */
  remove(key: string): Promise<void>
}

const SEGMENT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

/** Returns the key if it has plain segments only, so that it cannot leave the store. @throws Error otherwise */
export function checkKey(key: string): string {
  if (key.split('/').every((segment) => SEGMENT.test(segment))) return key
  throw new Error(`"${key}" is not a usable artifact key`)
}

/** Returns the key of a file of a stage of a job. */
export function artifactKey(jobId: string, stage: string, attempt: number | string, name: string): string {
  return checkKey(`jobs/${jobId}/${stage}/${attempt}/${name}`)
}

/** An open store of this installation. */
export interface OpenStore {
  store: ArtifactStore
  close(): void
}
