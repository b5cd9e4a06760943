import { sequenceAt } from '../utf8.ts'
import type { StructuralReason } from './state.ts'

/** Maximum number of invalid bytes of a record that are listed. */
const MAX_NAMED = 3

/**
 * Returns the reason for a record at `offset` of the byte stream that is not valid UTF-8: lists the bytes and their
 * offsets.
 */
export function invalidUtf8(bytes: Uint8Array, offset: number): StructuralReason {
  const places = invalidPlaces(bytes)
  const named = places.slice(0, MAX_NAMED).map((at) => `${hex(bytes[at])} at offset ${offset + at}`)
  const left = places.length - named.length
  const list = left > 0 ? `${named.join(', ')} and ${left} more` : named.join(', ')
  const message =
    places.length === 1
      ? `the byte ${list} of the file is not valid UTF-8`
      : `${places.length} bytes are not valid UTF-8: ${list} (offsets in the file)`
  return { column: null, code: 'invalid_utf8', message, value: hex(bytes[places[0] ?? 0]) }
}

function invalidPlaces(bytes: Uint8Array): number[] {
  const places: number[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = (bytes[at] ?? 0) < 0x80 ? 1 : sequenceAt(bytes, at, bytes.length)
    if (length <= 0) places.push(at)
    at += Math.max(1, length)
  }
  return places
}

function hex(byte = 0): string {
  return `0x${byte.toString(16).toUpperCase().padStart(2, '0')}`
}
