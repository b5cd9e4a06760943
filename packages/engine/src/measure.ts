import { EngineError } from './errors.ts'
import { readSource, type SourceFormat, sourceProgress } from './source.ts'

/** The size of a text: unpacked bytes, and lines, which are an upper bound of its records. */
export interface TextSize {
  readonly bytes: number
  readonly lines: number
}

const LF = 0x0a
const CR = 0x0d

/**
 * Returns true if a text is within a size. Unpacks only as much as necessary; the size that a gzip file states is not
 * trusted. For a damaged file, only its readable part counts.
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
