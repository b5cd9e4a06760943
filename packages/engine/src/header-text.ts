import { MAX_CUT_BYTES } from './raw-records.ts'
import { type ByteEncoding, capBytes, decodeText } from './text.ts'

/** The header row of a file as written, without BOM and line end; `truncated` if it is longer than the limit. */
export interface HeaderText {
  text: string
  truncated: boolean
}

/**
 * Returns the text of the row that begins at a physical line (from 1) and ends before offset `next`. Both refer to
 * `head`, the beginning of the byte stream that parsing reads.
 */
export function headerText(
  head: Uint8Array,
  { line, next }: { line: number; next: number },
  encoding: ByteEncoding,
): HeaderText {
  const start = startOfLine(head, line)
  const end = beforeLineEnd(head, Math.max(start, Math.min(next, head.length)))
  const kept = capBytes(head.subarray(start, Math.max(start, end)), MAX_CUT_BYTES, encoding)
  const text = decodeText(kept, encoding)
  return { text: text.replace(/^\uFEFF/, ''), truncated: start + kept.length < end }
}

function startOfLine(bytes: Uint8Array, line: number): number {
  let at = 0
  for (let passed = 1; passed < line && at < bytes.length; at++) {
    if (bytes[at] === 0x0a || (bytes[at] === 0x0d && bytes[at + 1] !== 0x0a)) passed++
  }
  return at
}

function beforeLineEnd(bytes: Uint8Array, end: number): number {
  if (bytes[end - 1] === 0x0a) return bytes[end - 2] === 0x0d ? end - 2 : end - 1
  return bytes[end - 1] === 0x0d ? end - 1 : end
}
