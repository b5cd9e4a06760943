/** Stable codes of what can go wrong in the engine. */
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

/** An error of the engine with a stable `code`; the message says what happened to what. */
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

/** What a disk answers that is full, over its quota or limit, or has been made read-only; DuckDB gives the words only. */
const NO_ROOM: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS', 'EIO'])
const NO_ROOM_TEXT =
  /no space left on device|^IO Error: .*(disk quota exceeded|file too large|read-only file system|input\/output error)/is

/** Gives any error that reached the edge of a task its stable code. */
export function toEngineError(error: unknown): EngineError {
  if (error instanceof EngineError) return error
  const message = error instanceof Error ? error.message : String(error)
  const code = codeOf(error)
  const cause = { cause: error }
  if ((typeof code === 'string' && NO_ROOM.has(code)) || NO_ROOM_TEXT.test(message)) {
    return new EngineError('disk_full', `the disk is full or cannot be written: ${message}`, cause)
  }
  if (/^out of memory error/i.test(message)) {
    // The rest of it is advice for people at a DuckDB prompt.
    return new EngineError('engine_out_of_memory', message.split('\n')[0] ?? message, cause)
  }
  if (/interrupt error/i.test(message)) return new EngineError('aborted', 'the task was aborted', cause)
  if (typeof code === 'string' && /^(Z_|ERR_ZLIB)/.test(code)) {
    return new EngineError('bad_input', `the compressed file is damaged: ${message}`, cause)
  }
  if (/^[A-Za-z ]+ error:/i.test(message)) return new EngineError('sql_error', message, cause)
  return new EngineError('internal', message, cause)
}
