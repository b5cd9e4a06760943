import { type FileHandle, open } from 'node:fs/promises'
import { createCensus } from './encoding/census.ts'
import { CODE_PAGES } from './encoding/code-pages.ts'
import { doubtDeclared, type EncodingDoubt, type EncodingGuess, guessEncoding } from './encoding/guess.ts'
import { EngineError } from './errors.ts'
import { createPackedFile, type PackedContent, type PackedFile } from './packed-file.ts'
import { hasFailed, type RejectLimit } from './reject-limit.ts'
import type { HeaderNames } from './scan/header-rows.ts'
import { createScanner, type ScanCounts, type Scanner } from './scan/scanner.ts'
import { readSource, type Source, type SourceProgress, sourceProgress } from './source.ts'
import { byteEncoding, type Encoding } from './text.ts'

/** What to transcode and where to. */
export interface TranscodeOptions {
  readonly source: Omit<Source, 'encoding'>
  /** `auto`: UTF-8 if the bytes allow it, else the result of `guessEncoding` for the whole file. */
  readonly encoding: Encoding | 'auto'
  /** Path of the canonical file; an existing file is replaced. */
  readonly canonical: string
  /** Path of the structural rejects (NDJSON, compressed by gzip); an existing file is replaced. */
  readonly rejects: string
  readonly delimiter: string
  readonly quote: string | null
  readonly expectedColumns: number
  readonly columns: readonly number[]
  /** Indexes of the columns whose header cell is blank. */
  readonly unnamed?: readonly number[]
  readonly startOffset: number
  readonly startLine: number
  readonly lineEnd?: 'lf' | 'crlf' | 'cr'
  readonly header?: HeaderNames
  readonly maxRecordBytes?: number
  readonly maxRawBytes?: number
  /** Stops once the file has failed by this limit. */
  readonly rejectLimit?: RejectLimit
  readonly signal?: AbortSignal
  /** Called a few times a second with the progress so far. */
  readonly onProgress?: (progress: SourceProgress, counts: ScanCounts) => void
}

/** The result of a transcoding. */
export interface Transcoded extends ScanCounts {
  encoding: Encoding
  /** Why the encoding may be another; null if it is certain. */
  doubt: EncodingDoubt | null
  /** Size after unpacking, as far as the file was read. */
  bytes: number
  /** The file failed by the limit and was not read further. */
  stopped: boolean
  /** The content of the file of structural rejects. */
  rejectsContent: PackedContent
}

/**
 * Converts an original to its canonical file and its structural rejects (for the formats, see `Scanner`). Uses constant
 * memory. Throws `bad_input` for a damaged original, and `aborted`.
 */
export async function transcode(options: TranscodeOptions): Promise<Transcoded> {
  if (options.encoding !== 'auto') return settled(options, options.encoding)
  const first = await attempt(options, 'utf-8', { guessing: true })
  if (first) return first
  const { encoding, doubt } = await takeCensus(options)
  return { ...(await settled(options, encoding)), doubt }
}

async function settled(options: TranscodeOptions, encoding: Encoding): Promise<Transcoded> {
  const page = options.encoding === 'auto' ? undefined : CODE_PAGES.find((one) => one === encoding)
  const census = page && createCensus()
  const found = await attempt(options, encoding, {
    guessing: false,
    ...(census ? { look: (chunk) => census.add(chunk) } : {}),
  })
  if (!found) throw new EngineError('internal', 'a scan with a settled encoding cannot be undecided')
  return page && census ? { ...found, doubt: doubtDeclared(census.finish(!found.stopped), page) } : found
}

interface Attempt {
  /** The encoding is a guess: stop at bytes that do not fit. */
  guessing: boolean
  /** Called with every chunk that is read. */
  look?: (chunk: Uint8Array) => void
}

// Makes one pass. Returns null if guessed UTF-8 met bytes that are not.
async function attempt(
  options: TranscodeOptions,
  encoding: Encoding,
  { guessing, look }: Attempt,
): Promise<Transcoded | null> {
  const progress = sourceProgress()
  const scanner = createScanner({ ...options, encoding: byteEncoding(encoding), guessing })
  const canonical = await open(options.canonical, 'w')
  const rejects = createPackedFile(options.rejects)
  let writing: Promise<void> = Promise.resolve()
  // One write is in flight while the next records are scanned.
  const flush = async () => {
    const taken = scanner.takeCanonical()
    const lines = scanner.takeRejects()
    await writing
    writing = writeOut(canonical, taken, rejects, lines).then(() => scanner.giveBack(taken))
    // The next flush or the end reports the error.
    writing.catch(() => undefined)
  }
  const hasFailedNow = rejectCheck(scanner, options, encoding, progress)
  // Scans the bytes that were fed; `unfed` is the number of bytes of the chunk that were not.
  const drain = async (unfed: number): Promise<'more' | 'undecided' | 'failed'> => {
    for (;;) {
      const stop = scanner.scan()
      if (stop === 'undecided') return 'undecided'
      if (await hasFailedNow(unfed)) return 'failed'
      if (stop === 'more') return 'more'
      await flush()
    }
  }
  const end = async (stopped: boolean): Promise<Transcoded> => {
    await flush()
    await writing
    const rejectsContent = await rejects.finish()
    return { ...scanner.counts(), encoding, doubt: null, bytes: progress.out, stopped, rejectsContent }
  }
  let start = options.startOffset
  let tick = Date.now()
  try {
    for await (const chunk of readSource({ ...options.source, encoding }, progress)) {
      look?.(chunk)
      const skipped = Math.min(start, chunk.length)
      start -= skipped
      for (let at = skipped; at < chunk.length; ) {
        at += scanner.feed(chunk.subarray(at))
        const state = await drain(chunk.length - at)
        if (state === 'undecided') return null
        if (state === 'failed') return await end(true)
      }
      if (options.signal?.aborted) throw new EngineError('aborted', 'the task was aborted')
      if (Date.now() - tick > 150) {
        tick = Date.now()
        options.onProgress?.(progress, scanner.counts())
      }
    }
    scanner.finish()
    const state = await drain(0)
    return state === 'undecided' ? null : await end(state === 'failed')
  } finally {
    await Promise.allSettled([writing])
    await canonical.close()
    await rejects.abandon()
  }
}

/**
 * Returns a function that checks whether the file has exceeded its limit of rejects, given the number of available
 * bytes that were not fed. The size of a compressed file is measured by reading it when it is first needed.
 */
function rejectCheck(
  scanner: Scanner,
  options: TranscodeOptions,
  encoding: Encoding,
  progress: SourceProgress,
): (unfed: number) => Promise<boolean> {
  const { rejectLimit: limit, expectedColumns: columns } = options
  let total: number | undefined
  return async (unfed) => {
    if (!limit) return false
    const { records, structural: rejects } = scanner.counts()
    const soFar = { records, rejects, columns }
    if (!hasFailed(limit, { ...soFar, unreadBytes: 0 })) return false
    total ??= await textBytes(options, encoding, progress)
    return hasFailed(limit, { ...soFar, unreadBytes: total - progress.out + unfed + scanner.pendingBytes() })
  }
}

/** Returns the size of the whole text in bytes, as `SourceProgress` counts them in `out`. */
async function textBytes(
  options: TranscodeOptions,
  encoding: Encoding,
  { total }: SourceProgress,
): Promise<number> {
  if (options.source.format === 'plain' && !encoding.startsWith('utf-16')) return total
  const whole = sourceProgress()
  for await (const _ of readSource({ ...options.source, encoding }, whole))
    if (options.signal?.aborted) throw new EngineError('aborted', 'the task was aborted')
  return whole.out
}

async function writeOut(
  canonical: FileHandle,
  bytes: Buffer,
  rejects: PackedFile,
  lines: string[],
): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await canonical.write(bytes, at)).bytesWritten
  await rejects.write(lines.join(''))
}

async function takeCensus(options: TranscodeOptions): Promise<EncodingGuess> {
  const census = createCensus(options.lineEnd === 'cr' ? 0x0d : 0x0a)
  for await (const chunk of readSource({ ...options.source, encoding: 'utf-8' }, sourceProgress())) {
    census.add(chunk)
    if (options.signal?.aborted) throw new EngineError('aborted', 'the task was aborted')
  }
  return guessEncoding(census.finish(true))
}
