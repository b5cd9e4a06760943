import { type DialectHints, type DialectResult, detectDialect } from './dialect.ts'
import { EngineError } from './errors.ts'
import { type Recognition, recogniseBytes } from './recognise.ts'
import { readSource, type SourceFormat, sourceProgress } from './source.ts'
import { byteEncoding, type Encoding } from './text.ts'
import { tallyUtf8 } from './utf8.ts'

/** How much of an original is examined. */
const HEAD_BYTES = 256 << 10

/** The kind of an original, with the unpacked and decoded beginning of its text. */
export type Inspection =
  | { kind: 'empty' }
  | { kind: 'unsupported'; found: string }
  | {
      kind: 'csv'
      format: SourceFormat
      encoding: Encoding
      /** False if judged by a sample; then parse with encoding `auto`. */
      encodingSure: boolean
      bom: boolean
      head: Buffer
      /** `head` is the whole text. */
      complete: boolean
    }

/**
 * Inspects the beginning of a file: its kind, compression and encoding. `encoding` is the declared one; then only a
 * byte order mark overrides it. Throws `bad_input` for a gzip file that is damaged right at its beginning.
 */
export async function inspectFile(path: string, encoding?: Encoding): Promise<Inspection> {
  const outer = await readHead(path, 'plain', 'utf-8')
  let format: SourceFormat = 'plain'
  let inner = outer
  let recognition = recogniseBytes(outer.bytes, outer.complete)
  if (recognition.kind === 'gzip') {
    format = 'gzip'
    inner = await readHead(path, format, 'utf-8')
    recognition = recogniseBytes(inner.bytes, inner.complete)
    if (recognition.kind === 'gzip')
      return { kind: 'unsupported', found: 'a gzip archive within a gzip archive' }
  }
  if (recognition.kind !== 'csv') return recognition
  const text = settle(recognition, encoding, inner.bytes)
  const decoded = text.encoding.startsWith('utf-16') ? await readHead(path, format, text.encoding) : inner
  return { ...text, format, head: decoded.bytes, complete: decoded.complete }
}

/** Combines `inspectFile` and `detectDialect`: returns the dialect of a text, or why there is none. */
export async function inspectDialect(
  path: string,
  hints: DialectHints & { encoding?: Encoding },
): Promise<{ inspection: Inspection; result: DialectResult | null }> {
  const inspection = await inspectFile(path, hints.encoding)
  if (inspection.kind !== 'csv') return { inspection, result: null }
  const { head, encoding, complete } = inspection
  return { inspection, result: detectDialect(head, byteEncoding(encoding), complete, hints) }
}

/** Prefers a byte order mark to the declared encoding, like browsers, unless the text after it contradicts the mark. */
function settle(
  recognition: Extract<Recognition, { kind: 'csv' }>,
  declared: Encoding | undefined,
  head: Uint8Array,
): Extract<Recognition, { kind: 'csv' }> {
  if (declared === undefined) return recognition
  if (recognition.bom && (recognition.encoding !== 'utf-8' || isUtf8Head(head))) return recognition
  return { ...recognition, encoding: declared, encodingSure: true }
}

function isUtf8Head(head: Uint8Array): boolean {
  const tally = { sequences: 0, invalid: 0 }
  tallyUtf8(head, 0, head.length, false, tally)
  return tally.invalid === 0
}

async function readHead(
  path: string,
  format: SourceFormat,
  encoding: Encoding,
): Promise<{ bytes: Buffer; complete: boolean }> {
  const parts: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of readSource({ path, format, encoding }, sourceProgress())) {
      // The reader reuses its buffers.
      parts.push(Buffer.from(chunk))
      size += chunk.length
      if (size > HEAD_BYTES) return { bytes: Buffer.concat(parts).subarray(0, HEAD_BYTES), complete: false }
    }
  } catch (error) {
    // A truncated file still has a head to show; parsing it fails with the same error.
    if (!(error instanceof EngineError) || size === 0) throw error
  }
  return { bytes: Buffer.concat(parts), complete: true }
}
