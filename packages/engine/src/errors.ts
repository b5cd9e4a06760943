/** Stable codes of the engine's errors. */
export const ENGINE_ERROR_CODES = [
  'engine_crashed',
  'engine_out_of_memory',
  'disk_full',
  'sql_error',
  'aborted',
  'not_conserved',
  'bad_input',
  'internal',
] as const
export type EngineErrorCode = (typeof ENGINE_ERROR_CODES)[number]

/** An error of the engine with a stable `code`. The message states what failed and why. */
export class EngineError extends Error {
  readonly code: EngineErrorCode
  constructor(code: EngineErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = code === 'aborted' ? 'AbortError' : 'EngineError'
    this.code = code
  }
}

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined

/** Errors of a disk that is full, over its quota or limit, or read-only; DuckDB passes on only the text. */
const NO_ROOM: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS', 'EIO'])
const NO_ROOM_TEXT =
  /no space left on device|^IO Error: .*(disk quota exceeded|file too large|read-only file system|input\/output error)/is

/** Converts any error at the edge of a task to an `EngineError` with a stable code. */
export function toEngineError(error: unknown): EngineError {
  if (error instanceof EngineError) return error
  const message = error instanceof Error ? error.message : String(error)
  const code = codeOf(error)
  const cause = { cause: error }
  if ((typeof code === 'string' && NO_ROOM.has(code)) || NO_ROOM_TEXT.test(message)) {
    return new EngineError('disk_full', `the disk is full or cannot be written: ${message}`, cause)
  }
  if (/^out of memory error/i.test(message)) {
    // The rest is advice for users of a DuckDB prompt.
    return new EngineError('engine_out_of_memory', message.split('\n')[0] ?? message, cause)
  }
  if (/interrupt error/i.test(message)) return new EngineError('aborted', 'the task was aborted', cause)
  if (typeof code === 'string' && /^(Z_|ERR_ZLIB)/.test(code)) {
    return new EngineError('bad_input', `the compressed file is damaged: ${message}`, cause)
  }
  if (/^[A-Za-z ]+ error:/i.test(message)) return new EngineError('sql_error', message, cause)
  return new EngineError('internal', message, cause)
}
