import { EngineError } from './errors.ts'
import { readSource, type SourceFormat, sourceProgress } from './source.ts'

/** How large a text is: bytes after unpacking, and lines, which bound its records. */
export interface TextSize {
  readonly bytes: number
  readonly lines: number
}

const LF = 0x0a
const CR = 0x0d

/**
 * Returns whether a text is within a size. Unpacks only as much as that takes; the size that a gzip file states is not
 * trusted. A damaged file is as large as its readable part.
 */
export async function isWithin(
  source: { path: string; format: SourceFormat },
  most: TextSize,
): Promise<boolean> {
  let bytes = 0
  let feeds = 0
  let returns = 0
  try {
    for await (const chunk of readSource({ ...source, encoding: 'utf-8' }, sourceProgress())) {
      bytes += chunk.length
      feeds += countOf(chunk, LF)
      returns += countOf(chunk, CR)
      if (bytes > most.bytes || Math.max(feeds, returns) > most.lines) return false
    }
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'bad_input') throw error
  }
  return true
}

function countOf(bytes: Buffer, byte: number): number {
  let count = 0
  for (let at = bytes.indexOf(byte); at >= 0; at = bytes.indexOf(byte, at + 1)) count++
  return count
}
