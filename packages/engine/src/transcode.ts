import { type FileHandle, open } from 'node:fs/promises'
import { EngineError } from './errors.ts'
import { createScanner, type ScanCounts } from './scan/scanner.ts'
import { readSource, type Source, type SourceProgress, sourceProgress } from './source.ts'
import { byteEncoding, type Encoding } from './text.ts'
import { decideEncoding, tallyUtf8 } from './utf8.ts'

/** What to transcode and where to. */
export interface TranscodeOptions {
  readonly source: Omit<Source, 'encoding'>
  /** `auto`: UTF-8 if the bytes allow it, else what `decideEncoding` says of the whole file. */
  readonly encoding: Encoding | 'auto'
  /** Path of the canonical file; replaced. */
  readonly canonical: string
  /** Path of the structural rejects (NDJSON); replaced. */
  readonly rejects: string
  readonly delimiter: string
  readonly quote: string | null
  readonly expectedColumns: number
  readonly columns: readonly number[]
  readonly startOffset: number
  readonly startLine: number
  readonly maxRecordBytes?: number
  readonly maxRawBytes?: number
  readonly signal?: AbortSignal
  /** Called a few times a second with what was read so far. */
  readonly onProgress?: (progress: SourceProgress, counts: ScanCounts) => void
}

/** What a transcoding found. */
export interface Transcoded extends ScanCounts {
  encoding: Encoding
  /** Bytes after unpacking. */
  bytes: number
}

/**
 * Turns an original into its canonical file and its structural rejects (formats: see `Scanner`). Memory is flat.
 * Throws `bad_input` for a damaged original and `aborted`.
 */
export async function transcode(options: TranscodeOptions): Promise<Transcoded> {
  const guessing = options.encoding === 'auto'
  const first = await attempt(options, options.encoding === 'auto' ? 'utf-8' : options.encoding, guessing)
  if (first) return first
  const encoding = await takeCensus(options)
  const second = await attempt(options, encoding, false)
  if (!second) throw new EngineError('internal', 'a scan with a settled encoding cannot be undecided')
  return second
}

// One pass. null: guessing UTF-8 met bytes that are not.
async function attempt(
  options: TranscodeOptions,
  encoding: Encoding,
  guessing: boolean,
): Promise<Transcoded | null> {
  const progress = sourceProgress()
  const scanner = createScanner({ ...options, encoding: byteEncoding(encoding), guessing })
  const canonical = await open(options.canonical, 'w')
  const rejects = await open(options.rejects, 'w')
  let writing: Promise<void> = Promise.resolve()
  // One write is in flight while the next records are scanned.
  const flush = async () => {
    const taken = scanner.takeCanonical()
    const lines = scanner.takeRejects()
    await writing
    writing = writeOut(canonical, taken, rejects, lines).then(() => scanner.giveBack(taken))
    // The next flush or the end meets the error.
    writing.catch(() => undefined)
  }
  const drain = async (): Promise<boolean> => {
    for (;;) {
      const stop = scanner.scan()
      if (stop === 'undecided') return false
      if (stop === 'more') return true
      await flush()
    }
  }
  let start = options.startOffset
  let tick = Date.now()
  try {
    for await (const chunk of readSource({ ...options.source, encoding }, progress)) {
      const skipped = Math.min(start, chunk.length)
      start -= skipped
      for (let at = skipped; at < chunk.length; ) {
        at += scanner.feed(chunk.subarray(at))
        if (!(await drain())) return null
      }
      if (options.signal?.aborted) throw new EngineError('aborted', 'the task was aborted')
      if (Date.now() - tick > 150) {
        tick = Date.now()
        options.onProgress?.(progress, scanner.counts())
      }
    }
    scanner.finish()
    if (!(await drain())) return null
    await flush()
    await writing
    return { ...scanner.counts(), encoding, bytes: progress.out }
  } finally {
    await Promise.allSettled([writing])
    await canonical.close()
    await rejects.close()
  }
}

async function writeOut(
  canonical: FileHandle,
  bytes: Buffer,
  rejects: FileHandle,
  lines: string[],
): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await canonical.write(bytes, at)).bytesWritten
  if (lines.length > 0) await rejects.appendFile(lines.join(''))
}

async function takeCensus(options: TranscodeOptions): Promise<Encoding> {
  const tally = { sequences: 0, invalid: 0 }
  let rest = Buffer.alloc(0)
  for await (const chunk of readSource({ ...options.source, encoding: 'utf-8' }, sourceProgress())) {
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
    rest = Buffer.from(bytes.subarray(tallyUtf8(bytes, 0, bytes.length, false, tally)))
    if (options.signal?.aborted) throw new EngineError('aborted', 'the task was aborted')
  }
  tallyUtf8(rest, 0, rest.length, true, tally)
  return decideEncoding(tally)
}
